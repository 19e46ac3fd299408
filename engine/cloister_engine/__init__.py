"""Cloister's training engine: one job specification in, events out, safetensors out.

It runs in a sandbox without network, credentials or keys. It reads one specification file, the base
model and the job's data; it writes below /scratch only; it speaks NDJSON on descriptor 3. The other
side of the contract is the Go package internal/engine.
"""

CONTRACT_VERSION = 1
"""Version of the specification and of the events; the control plane sends the same number."""

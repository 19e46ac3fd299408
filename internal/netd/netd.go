// Package netd is the privileged helper of the server: it owns network namespaces, filters, cgroups and sandboxes, so that
// the server itself needs no privilege and enters no namespace. Server is what runs in the helper, Client what the API
// server holds; between them is a socket pair that carries small messages and descriptors.
//
// What a reader must know: the helper trusts the server with what it asks for, and with nothing else: the server cannot name
// a program to run outside a sandbox, nor a path to write. When either end of the socket is gone everything that the helper
// holds ends: sandboxes, interfaces, networks. Nothing is named in a file system, so nothing is left.
//
// It runs as root, or as root of a user namespace of its own (rootless); docs/threat-model.md says what that makes weaker.
//
// Sources: unix(7), SCM_RIGHTS; user_namespaces(7).
package netd

import (
	"encoding/json"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/sandbox"
)

// Setup is the first message: how the helper is to work.
type Setup struct {
	AllowSwap     bool
	RequireCgroup bool
	// Rootless says that the helper is root of a user namespace only.
	Rootless bool
	// Mounts are what sandboxes may see. The server says so once, before it serves anybody: who takes it over later cannot have the
	// helper, who may read everything, show it other files.
	Mounts []Allowed
	// Group is the server's group, which may use the scratches; 0 in a user namespace.
	Group int
}

// Allowed is a folder or file of the host that sandboxes may see, or what is below it. No link below Root is followed.
type Allowed struct {
	Root string
	// Target is where it is seen; "" is where it is on the host.
	Target string
}

// Ready is the answer to Setup.
type Ready struct {
	Report   executor.Report
	Findings []sandbox.Finding
	Network  []netns.Finding
}

// The operations.
const (
	opSetup   = "setup"
	opCreate  = "create"  // a sandbox; the scratch's descriptor comes back
	opRun     = "run"     // a process in it; answers when it has ended
	opKill    = "kill"    // what runs
	opDestroy = "destroy" // a sandbox

	opApply     = "apply"      // what a VPC should be
	opAttach    = "attach"     // an interface, canary included
	opDetach    = "detach"     // an interface
	opSetGroups = "set-groups" // of an interface
	opCut       = "cut"        // an interface's connections
	opFlows     = "flows"      // of a VPC, since the last time
	opListen    = "listen"     // in a VPC; the socket's descriptor comes back
	opDrop      = "drop"       // a VPC's network
)

// request is a message of the server; reply answers the one with the same number. Descriptors come along.
type request struct {
	ID   uint64
	Op   string
	Args json.RawMessage `json:",omitempty"`
	// Large says that the arguments are in the last descriptor that comes along, an anonymous file.
	Large bool `json:",omitempty"`
}

type reply struct {
	ID     uint64
	Error  string          `json:",omitempty"`
	Code   string          `json:",omitempty"`
	Result json.RawMessage `json:",omitempty"`
	// Large says that the result is in the last descriptor that comes along, an anonymous file.
	Large bool `json:",omitempty"`
}

// process is executor.Process without its files, which come along in this order as far as they are there.
type process struct {
	Box string
	// Run numbers the runs of a client, for kill: it may come before the run has begun.
	Run                     uint64
	Argv, Env               []string
	Dir                     string
	Stdout, Stderr, Control bool
}

type box struct {
	ID  string
	Run uint64 `json:",omitempty"`
}

type interfaceOf struct {
	VPC       string
	ID        string
	Groups    []string         `json:",omitempty"`
	Interface *netns.Interface `json:",omitempty"`
}

type listenAt struct{ VPC, Network, Address string }

// Error is a refusal of the helper. Code is one of those below, or empty.
type Error struct{ Code, Text string }

func (e *Error) Error() string { return e.Text }

// Codes of errors that callers tell apart.
const (
	CodeNoEndpointRoute = "NoEndpointRoute"
	CodeEgressBlocked   = "EgressBlocked"
	CodeEndpointDown    = "EndpointDown"
	CodeTampered        = "Tampered"
	CodeEnded           = "SandboxEnded" // Run returns executor.ErrEnded then
)

// Package escape tries to get out of a job. It is the probe program of the escape suite, and the world around the job:
// "the internet", a metadata service, an upstream resolver, a neighbour, all in namespaces of the test. Only tests import it.
//
// What a reader must know: a refusal counts only if the same probe succeeds where nothing holds it back. So every probe runs
// twice: in the world's control, a namespace with an uplink, where it must succeed, and then in the job, where it must be
// refused. A probe that could not even try is neither: it is broken, and a suite that has one is red.
//
// The probes do no harm. Nothing is sent but to 127/8 and to addresses of the targets; AF_VSOCK is only a socket(); files
// below /proc and /sys are opened and never written; the processes attacked are the targets'; what takes resources is bounded.
//
// # In a sandbox
//
// internal/escape/probe is the program. Build it with CGO_ENABLED=0, so that it needs nothing of the root it runs in, bind
// it into the sandbox, and run it as the engine's user with an Input as JSON on its standard input (or as its argument):
//
//	{"targets": {"internet": "203.0.113.10:443", …}, "probes": ["internet-tcp"], "patience": 700}
//
// Without probes it runs all. It prints a Report a line, and exits with 0 if all could be tried. Outer.Targets returns the
// targets of the control; for a job, take them and change what differs there: Device, Router, Resolver, Neighbour, Foreign,
// Victim and Doomed (1: the sandbox's own init), Scratch, Shm, Outside, and the bounds of resources. A program of tests may
// be the probe as well: see Staged.
//
// The probes "forks" and "memory" may end the whole job, which is a refusal that nobody is left to report: run each alone.
//
// The program may be a neighbour as well: with {"serve": "0.0.0.0:8443"} it answers on TCP and UDP until it is killed, and
// prints "ready" and then an Arrival a line.
//
// A report says what a probe sent. In a job every one of these packets is in the flow record; a probe whose Sent is empty was
// refused before it sent anything.
package escape

import (
	"net/netip"
	"time"
)

// Targets are what probes aim at, on the same fields in the control and in a job. A probe that lacks its target is broken.
type Targets struct {
	// Device is the interface that leads out.
	Device string `json:"device"`
	// Each of these has a service on TCP and on UDP.
	Internet      netip.AddrPort `json:"internet"`
	Internet6     netip.AddrPort `json:"internet6"`
	Host          netip.AddrPort `json:"host"`          // another address of the host
	Router        netip.AddrPort `json:"router"`        // the next hop
	Loopback      netip.AddrPort `json:"loopback"`      // of the host, 127.0.0.1
	Loopback6     netip.AddrPort `json:"loopback6"`     // of the host, ::1
	LoopbackOther netip.AddrPort `json:"loopbackOther"` // of the host, elsewhere in 127/8
	LinkLocal     netip.AddrPort `json:"linkLocal"`
	LinkLocal6    netip.AddrPort `json:"linkLocal6"`  // without a zone, which is Device
	Metadata      netip.AddrPort `json:"metadata"`    // 169.254.169.254
	Credentials   netip.AddrPort `json:"credentials"` // 169.254.170.2, the containers' metadata service
	Neighbour     netip.AddrPort `json:"neighbour"`   // another job of the subnet
	OtherVPC      netip.AddrPort `json:"otherVPC"`    // a job of another VPC
	// Resolver is the job's own; Upstream answers for every name below Zone.
	Resolver netip.AddrPort `json:"resolver"`
	Upstream netip.AddrPort `json:"upstream"`
	Zone     string         `json:"zone"`

	Broadcast []netip.AddrPort `json:"broadcast"`
	Multicast netip.AddrPort   `json:"multicast"`
	// Foreign is an address of somebody else, to forge; Unused is one of nobody, in a network of nobody.
	Foreign netip.Addr `json:"foreign"`
	Unused  netip.Addr `json:"unused"`

	// Victim is a process to look into; Doomed is one to kill. In a job both are process 1.
	Victim int `json:"victim"`
	Doomed int `json:"doomed"`
	// VictimName is the comm of a process of the host, which a job must not see.
	VictimName string `json:"victimName"`

	Scratch  string   `json:"scratch"`  // a folder to write in
	Shm      string   `json:"shm"`      // another, in memory
	Outside  []string `json:"outside"`  // folders that must not be written in
	Devices  []string `json:"devices"`  // files of devices of the host
	Socket   string   `json:"socket"`   // path of a unix socket of the host
	Abstract string   `json:"abstract"` // name of an abstract one, without the leading zero

	// Forks, MemoryBytes and DiskBytes are what the resource probes take; a job's limits lie below.
	Forks       int   `json:"forks"`
	MemoryBytes int64 `json:"memoryBytes"`
	DiskBytes   int64 `json:"diskBytes"`
	ShmBytes    int64 `json:"shmBytes"`
}

// Input is what the program takes.
type Input struct {
	Targets Targets  `json:"targets"`
	Probes  []string `json:"probes,omitempty"` // all, if empty
	// Serve makes the program a service instead.
	Serve netip.AddrPort `json:"serve,omitzero"`
	// Patience is how long to wait for an answer, in milliseconds; 0 is 700.
	Patience int `json:"patience,omitempty"`
}

func (in Input) patience() time.Duration {
	if in.Patience <= 0 {
		return 700 * time.Millisecond
	}
	return time.Duration(in.Patience) * time.Millisecond
}

// Outcome is how a probe ended.
type Outcome string

// The outcomes. Broken says that the probe could not try: its target is missing, or something that it needs is.
const (
	Succeeded Outcome = "succeeded"
	Refused   Outcome = "refused"
	Broken    Outcome = "broken"
)

// Report is how one probe ended, a line of the program's output.
type Report struct {
	Name    string   `json:"name"`
	Group   Group    `json:"group"`
	Outcome Outcome  `json:"outcome"`
	Detail  string   `json:"detail,omitempty"` // what was reached, or why not
	Sent    []Packet `json:"sent,omitempty"`
}

// Packet is something that a probe sent through the interface.
type Packet struct {
	Protocol uint8      `json:"protocol"` // IP's number
	Dest     netip.Addr `json:"dest"`
	Port     uint16     `json:"port,omitempty"`
}

// Group is what a probe is about.
type Group string

// The groups.
const (
	Network    Group = "network"
	Sockets    Group = "sockets"
	Namespaces Group = "namespaces"
	Files      Group = "files"
	Processes  Group = "processes"
	Kernel     Group = "kernel"
	Resources  Group = "resources"
)

// Place is where a probe's control runs.
type Place string

// The places: the namespace with an uplink; and the host's, for what only the host's own processes reach, such as its loopback.
const (
	Uplink Place = "uplink"
	Host   Place = "host"
)

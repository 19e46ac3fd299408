//go:build linux

// Package stage is the contract with `cloister stage`: the process in a job's VPC that reads training data and writes output
// through the VPC's S3 endpoint, before and after the engine runs. The plan goes in by descriptor 3, an anonymous file that
// nobody else ever has; the result comes out on standard output.
//
// What a reader must know: the process has the role's temporary keys and nothing else; the engine, which runs in the same sandbox
// at another time, never has them.
package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Path is where the sandbox has this program.
const Path = "/cloister"

// Argv is the process's command line.
func Argv() []string { return []string{Path, "stage"} }

// Plan is what to read and write.
type Plan struct {
	Region string
	// Host is the S3 endpoint's name, Resolver the VPC's resolver as host:port, CA what signs the endpoint's certificate, in PEM.
	Host, Resolver string
	CA             []byte
	// The keys of the role's session.
	AccessKeyID, Secret, Token string
	Reads                      []Read
	// Buckets must be there.
	Buckets []string
	Writes  []Write
}

// Read is an object to copy into the scratch, if every line of it has the form.
type Read struct {
	Bucket, Key, Target string
	// Kind is the form of its lines, as package dataset names it.
	Kind string
	// MaxBytes is the largest size, in bytes.
	MaxBytes int64
}

// Write is an object to write.
type Write struct {
	Bucket, Key, ContentType string
	Body                     []byte
}

// Result has one entry for each part of the plan, in order; what comes after a failure was not tried.
type Result struct {
	Reads   []ReadResult
	Buckets []Failure
	Writes  []Failure
}

// ReadResult is how a read went.
type ReadResult struct {
	Failure
	// Changed says that the object changed while it was read; TooLarge is its size if it was too large; Cut says that it could not
	// be read to its end.
	Changed  bool
	TooLarge int64
	Cut      bool
	// Report is package dataset's; NotJSON says of its first problem that the line is no JSON at all.
	Report  json.RawMessage
	NotJSON bool
}

// Failure is an error of S3, or none.
type Failure struct {
	// Code is S3's, or "EndpointUnreachable" where the endpoint did not answer.
	Code, Message string
}

// CodeUnreachable is the code of a failure to reach the endpoint.
const CodeUnreachable = "EndpointUnreachable"

// Failed says that there is one.
func (f Failure) Failed() bool { return f.Code != "" }

// Bounds of what goes over the descriptors, in bytes.
const (
	maxPlan   = 64 << 20
	maxResult = 4 << 20
)

// File puts the plan into an anonymous file that cannot be changed any more, for descriptor 3.
func (p Plan) File() (*os.File, error) {
	text, err := json.Marshal(p) //nolint:gosec // it goes into an anonymous file, for one process
	if err != nil {
		return nil, err
	}
	defer clear(text)
	fd, err := unix.MemfdCreate("stage", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("anonymous file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "stage plan")
	if _, err = f.Write(text); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadPlan reads a plan and closes the file.
func ReadPlan(f *os.File) (Plan, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxPlan))
	var p Plan
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	clear(text)
	return p, errors.Join(err, f.Close())
}

// ParseResult reads a result, and makes sure that it answers the plan.
func ParseResult(text []byte, p Plan) (Result, error) {
	var r Result
	if len(text) > maxResult {
		return r, errors.New("stage: the result is too long")
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("stage: %w", err)
	}
	if len(r.Reads) > len(p.Reads) || len(r.Buckets) > len(p.Buckets) || len(r.Writes) > len(p.Writes) {
		return r, errors.New("stage: the result does not answer the plan")
	}
	return r, nil
}

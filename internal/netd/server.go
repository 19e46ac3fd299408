package netd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/local"
	"example.com/cloister/internal/netns"
)

// Server is the helper. One Serve uses it.
type Server struct {
	conn *conn
	log  *slog.Logger

	companions []int
	local      *local.Executor
	networks   *networks

	mu    sync.Mutex
	boxes map[string]*held // guarded by mu

	mounts []Allowed // set up with local
}

// held is a sandbox and what runs in it.
type held struct {
	executor.Sandbox
	mu     sync.Mutex
	run    uint64             // guarded by mu; what runs
	cancel context.CancelFunc // guarded by mu; of what runs, else nil
	killed uint64             // guarded by mu; the latest run that was to be killed
}

// Serve answers until the other end of the socket is gone or ctx ends, and then ends all that it holds.
//
// Companions are processes that belong to the helper.
func Serve(ctx context.Context, socket *os.File, log *slog.Logger, companions ...int) error {
	s := &Server{conn: &conn{file: socket}, log: log, companions: companions, networks: newNetworks(), boxes: map[string]*held{}}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.close() })
	defer stop()
	var group sync.WaitGroup
	work, cancel := context.WithCancel(ctx)
	for {
		var r request
		files, err := s.conn.receive(&r)
		if err != nil { // the server is gone
			break
		}
		group.Go(func() { s.handle(work, r, files) })
	}
	cancel()
	s.killAll()
	group.Wait()
	return s.end(context.WithoutCancel(ctx))
}

func (s *Server) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.boxes {
		b.kill(0)
	}
}

// end lets go of everything.
func (s *Server) end(ctx context.Context) error {
	var failures []error
	for id, b := range s.boxes {
		if b == nil {
			continue
		}
		if err := b.Destroy(ctx); err != nil {
			failures = append(failures, fmt.Errorf("sandbox %s: %w", id, err))
		}
	}
	return errors.Join(append(failures, s.networks.close())...)
}

// handle answers one request.
func (s *Server) handle(ctx context.Context, r request, files []*os.File) {
	var result any
	var out []*os.File
	var err error
	if r.Large {
		r.Args, files, err = takeOut(files)
	}
	if err == nil {
		result, out, err = s.do(ctx, r, files)
	}
	answer := reply{ID: r.ID}
	if err != nil {
		answer.Error, answer.Code = err.Error(), codeOf(err)
	}
	if err := s.conn.answer(answer, result, out...); err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "cannot answer the server", slog.String("op", r.Op), slog.Any("error", err))
	}
	_ = errors.Join(closeAll(files), closeAll(out)) // the other end has its own
}

// codeOf is the code of an error that the other end tells apart.
func codeOf(err error) string {
	for code, known := range map[string]error{
		CodeNoEndpointRoute: netns.ErrNoEndpointRoute, CodeEgressBlocked: netns.ErrEgressBlocked, CodeEndpointDown: netns.ErrEndpointDown, CodeTampered: netns.ErrTampered,
		CodeEnded: executor.ErrEnded,
	} {
		if errors.Is(err, known) {
			return code
		}
	}
	return ""
}

// do does what is asked for. The result is for JSON; the files go along with it.
func (s *Server) do(ctx context.Context, r request, files []*os.File) (result any, out []*os.File, err error) {
	if s.ready() == (r.Op == opSetup) {
		return nil, nil, fmt.Errorf("netd: %s out of order", r.Op)
	}
	switch r.Op {
	case opSetup:
		return with(r, func(a Setup) (Ready, error) { return s.setup(ctx, a), nil })
	case opCreate:
		var spec executor.Spec
		if err := json.Unmarshal(r.Args, &spec); err != nil {
			return nil, nil, err
		}
		return s.create(ctx, spec)
	case opRun:
		return with(r, func(a process) (executor.Exit, error) { return s.runProcess(ctx, a, files) })
	case opKill:
		return with(r, func(a box) (struct{}, error) { return struct{}{}, s.kill(a.ID, a.Run) })
	case opDestroy:
		return with(r, func(a box) (struct{}, error) { return struct{}{}, s.destroy(ctx, a.ID) })
	default:
		return s.networks.do(r)
	}
}

// with decodes the arguments for a function.
func with[A, R any](r request, f func(A) (R, error)) (any, []*os.File, error) {
	var args A
	if err := json.Unmarshal(r.Args, &args); err != nil {
		return nil, nil, fmt.Errorf("netd: %s: %w", r.Op, err)
	}
	result, err := f(args)
	return result, nil, err
}

func (s *Server) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local != nil
}

func (s *Server) setup(ctx context.Context, a Setup) Ready {
	e := local.New(ctx, local.Config{
		AllowSwap: a.AllowSwap, RequireCgroup: a.RequireCgroup, Rootless: a.Rootless, Group: a.Group, Companions: s.companions, Networks: s.networks.namespace, Log: s.log,
	})
	ready := Ready{Report: e.Report(), Findings: e.Findings()}
	if a.Rootless {
		ready.Report.Weaker = append(ready.Report.Weaker, "networks and packet filters are held by a process under the server's own user id: who takes over the server can change them")
	}
	if ready.Report.Unavailable == "" {
		ready.Network = netns.Probe()
	} else {
		ready.Report.NoNetwork = ready.Report.Unavailable
	}
	for _, f := range ready.Network {
		if !f.OK && ready.Report.NoNetwork == "" {
			ready.Report.NoNetwork = f.Name + ": " + f.Detail
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local, s.mounts = e, a.Mounts
	return ready
}

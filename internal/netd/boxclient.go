package netd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/local"
)

var _ executor.Executor = (*Client)(nil)

// Report implements executor.Executor.
func (c *Client) Report() executor.Report {
	r := c.ready.Report
	select {
	case <-c.gone:
		r.Unavailable = executor.ErrGone.Error() + ": restart the server"
	default:
	}
	return r
}

// Create implements executor.Executor.
func (c *Client) Create(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	// A sandbox takes milliseconds to make, and one that nobody waited for would be nobody's to destroy.
	files, err := c.call(context.WithoutCancel(ctx), opCreate, spec, nil)
	if err != nil {
		return nil, err
	}
	b := &boxClient{client: c, id: spec.ID}
	if ctx.Err() != nil {
		return nil, errors.Join(context.Cause(ctx), closeAll(files), b.Destroy(context.WithoutCancel(ctx)))
	}
	if len(files) == 1 {
		b.root, err = os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", files[0].Fd()))
	} else {
		err = errors.New("netd: a sandbox came without its scratch")
	}
	if err = errors.Join(err, closeAll(files)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the scratch: %w", err), b.Destroy(context.WithoutCancel(ctx)))
	}
	return b, nil
}

// boxClient is a sandbox that the helper holds.
type boxClient struct {
	client *Client
	id     string
	root   *os.Root
}

// Scratch implements executor.Sandbox.
func (b *boxClient) Scratch() *os.Root { return b.root }

// Run implements executor.Sandbox.
func (b *boxClient) Run(ctx context.Context, p executor.Process) (exit executor.Exit, err error) {
	if ctx.Err() != nil {
		return exit, context.Cause(ctx)
	}
	m := process{Box: b.id, Run: b.client.runs.Add(1), Argv: p.Argv, Env: p.Env, Dir: p.Dir, Stdout: p.Stdout != nil, Stderr: p.Stderr != nil, Control: p.Control != nil}
	out, err := local.NewSink(p.Stdout)
	if err != nil {
		return exit, err
	}
	errs, err := local.NewSink(p.Stderr)
	if err != nil {
		return exit, errors.Join(err, out.End())
	}
	var files []*os.File
	for _, f := range []*os.File{out.File, errs.File, p.Control} {
		if f != nil {
			files = append(files, f)
		}
	}
	defer context.AfterFunc(ctx, func() {
		_, _ = b.client.call(context.WithoutCancel(ctx), opKill, box{b.id, m.Run}, nil) // if it cannot be asked, all has ended
	})()
	// The answer comes when everything in the sandbox has ended, killed or not: the caller may then use the scratch.
	_, err = b.client.call(context.WithoutCancel(ctx), opRun, m, &exit, files...)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == CodeEnded {
		err = executor.ErrEnded
	}
	if err = errors.Join(err, out.End(), errs.End()); ctx.Err() != nil {
		return executor.Exit{}, context.Cause(ctx)
	}
	return exit, err
}

// Destroy implements executor.Sandbox.
func (b *boxClient) Destroy(ctx context.Context) error {
	_, err := b.client.call(ctx, opDestroy, box{ID: b.id}, nil)
	err = unlessGone(err)
	if b.root != nil && err == nil {
		err = b.root.Close()
	}
	return err
}

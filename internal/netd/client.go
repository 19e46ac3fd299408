package netd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"example.com/cloister/internal/executor"
)

// Client is the server's end. It is safe for concurrent use. It implements executor.Executor, and the data plane that package
// vpc needs.
type Client struct {
	conn  *conn
	ready Ready
	// gone is closed when the helper has ended.
	gone chan struct{}

	runs atomic.Uint64

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan answer // guarded by mu; nil once the helper has ended
	plane   plane                  // guarded by its own lock
}

type answer struct {
	reply reply
	files []*os.File
}

// Connect sets the helper up at the other end of a socket. The context bounds the set-up.
func Connect(ctx context.Context, socket *os.File, s Setup) (*Client, error) {
	c := &Client{conn: &conn{file: socket}, gone: make(chan struct{}), waiting: map[uint64]chan answer{}}
	go c.listen()
	if _, err := c.call(ctx, opSetup, s, &c.ready); err != nil {
		return nil, errors.Join(fmt.Errorf("set the helper up: %w", err), c.Close())
	}
	return c, nil
}

// Gone is closed when the helper has ended: then nothing that it made is there any more.
func (c *Client) Gone() <-chan struct{} { return c.gone }

// Ready is what the helper found out about this host.
func (c *Client) Ready() Ready { return c.ready }

// Close ends the helper, with all that it holds.
func (c *Client) Close() error {
	c.plane.close()
	return c.conn.close()
}

func (c *Client) listen() {
	for {
		var a answer
		var err error
		if a.files, err = c.conn.receive(&a.reply); err != nil {
			break
		}
		c.mu.Lock()
		waiting, ok := c.waiting[a.reply.ID]
		delete(c.waiting, a.reply.ID)
		c.mu.Unlock()
		if !ok { // nobody waits any more
			_ = closeAll(a.files)
			continue
		}
		waiting <- a
	}
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	close(c.gone)
	for _, w := range waiting { // first: one of them may hold the lock of the listeners
		close(w)
	}
	c.plane.close() // a listener keeps the namespace that it lies in
}

// call asks and waits for the answer. When ctx ends first, the answer is thrown away.
func (c *Client) call(ctx context.Context, op string, args, result any, files ...*os.File) ([]*os.File, error) {
	text, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	mine := make(chan answer, 1)
	c.mu.Lock()
	if c.waiting == nil {
		c.mu.Unlock()
		return nil, executor.ErrGone
	}
	c.next++
	id := c.next
	c.waiting[id] = mine
	c.mu.Unlock()
	if err := c.conn.ask(request{ID: id, Op: op, Args: text}, files...); err != nil {
		c.forget(id)
		select {
		case <-c.gone:
			return nil, executor.ErrGone
		default:
			return nil, err
		}
	}
	select {
	case a, ok := <-mine:
		if !ok {
			return nil, executor.ErrGone
		}
		if a.reply.Error != "" {
			return nil, errors.Join(&Error{a.reply.Code, a.reply.Error}, closeAll(a.files))
		}
		return a.reply.result(result, a.files)
	case <-ctx.Done():
		c.forget(id)
		return nil, context.Cause(ctx)
	}
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

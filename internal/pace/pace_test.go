package pace

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// TestLearnsTheLimit sends through a Pacer to a service with a limit that it does not know.
func TestLearnsTheLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit           float64
		burst, requests int
		workers         int
	}{
		{5, 10, 200, 1}, {5, 10, 200, 4}, {5, 10, 400, 8}, {5, 10, 130, 16}, {5, 10, 100, 16}, {20, 40, 1000, 16}, {2, 5, 100, 16}, {20, 40, 1000, 4}, {2, 5, 100, 2}, {50, 100, 2000, 32}, {10, 10, 300, 16},
	} {
		t.Run(fmt.Sprintf("%d requests, %v a second, %d workers", c.requests, c.limit, c.workers), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := rate.NewLimiter(rate.Limit(c.limit), c.burst)
				p := New(0)
				work := make(chan int, c.requests)
				for i := range c.requests {
					work <- i
				}
				close(work)
				var mu sync.Mutex
				var refused int
				start := time.Now()
				var wg sync.WaitGroup
				for range c.workers {
					wg.Go(func() {
						for range work {
							for {
								ticket, err := p.Wait(t.Context(), "k")
								if err != nil {
									t.Error(err)
									return
								}
								time.Sleep(20 * time.Millisecond)
								ok := service.Allow()
								ticket.Done(!ok)
								if ok {
									break
								}
								mu.Lock()
								refused++
								mu.Unlock()
								time.Sleep(200 * time.Millisecond)
							}
						}
					})
				}
				wg.Wait()
				ideal := float64(c.requests-c.burst) / c.limit
				took := time.Since(start).Seconds()
				t.Logf("took %.1f s, ideal %.1f s (%.2f); %d of %d refused", took, ideal, took/ideal, refused, c.requests)
				if took > 1.25*ideal {
					t.Errorf("took %.1f s, more than 1.25 x %.1f s", took, ideal)
				}
				if float64(refused) > 0.02*float64(c.requests)+2 {
					t.Errorf("%d of %d refused", refused, c.requests)
				}
			})
		})
	}
}

func TestSlowStartIsFast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(0)
		start := time.Now()
		for range 400 {
			ticket, err := p.Wait(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			ticket.Done(false)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("400 requests took %s", took)
		}
	})
}

func TestMaximum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(10)
		start := time.Now()
		for range 108 {
			ticket, err := p.Wait(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			ticket.Done(false)
		}
		if took := time.Since(start); took < 10*time.Second {
			t.Errorf("100 requests over the burst took %s at 10 a second", took)
		}
	})
}

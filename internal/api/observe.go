package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/cloister"
)

// metrics are the edge's counters.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cloister_requests_total",
			Help: "Requests by service, operation and code: AWS's error code, or the HTTP status.",
		}, []string{"service", "operation", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cloister_request_duration_seconds",
			Help:    "Time from a request's header to the end of its answer, in seconds, by service and operation.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"service", "operation"}),
	}
	if err := errors.Join(registry.Register(m.requests), registry.Register(m.seconds)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

// finish counts and logs a request: one line, without queries, keys or bodies.
func (h *Handler) finish(ctx context.Context, x *exchange, start time.Time, read int64, w *recorder) {
	took := h.now().Sub(start)
	service := x.service
	if _, served := h.services[service]; !served && service != serviceOwn {
		service = "other" // a client chooses it, and labels must be few
	}
	if w.status == 0 {
		w.status = http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	code := x.outcome.Code
	if code == "" {
		code = strconv.Itoa(w.status)
	}
	h.metrics.requests.WithLabelValues(service, x.outcome.Operation, code).Inc()
	h.metrics.seconds.WithLabelValues(service, x.outcome.Operation).Observe(took.Seconds())
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("service", service), slog.String("operation", x.outcome.Operation),
		slog.String("principal", x.principal), slog.Int("status", w.status), slog.Duration("duration", took),
		slog.Int64("bytes_in", read), slog.Int64("bytes_out", w.written),
	}
	if x.outcome.Code != "" {
		attrs = append(attrs, slog.String("code", x.outcome.Code))
	}
	level := slog.LevelInfo
	if cause := causeOf(x.outcome.Err); cause != nil {
		attrs = append(attrs, slog.String("cause", cause.Error()))
		if w.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	h.log.LogAttrs(context.WithoutCancel(ctx), level, "request", attrs...)
}

// causeOf is what the log may say of an error: the operator's cause of one that the client was told, since
// messages may name object keys, or all of an unexpected one.
func causeOf(err error) error {
	if told, ok := errors.AsType[*cloister.Error](err); ok {
		return told.Cause
	}
	if cloister.Code(err) != "" {
		return nil
	}
	return err
}

// Admin is the handler of the admin listener, which must be on loopback: /metrics from gatherer, /healthz,
// which always answers, and /readyz, which asks ready and answers 503 with its error.
func Admin(gatherer prometheus.Gatherer, ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		plain(w, http.StatusOK, "ready")
	})
	return mux
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the client may have gone
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/api"
	"example.com/cloister/internal/bedrock"
)

const (
	// sseIdle is how often an idle event stream sends a comment, so that proxies keep it open.
	sseIdle = 15 * time.Second
)

// own serves Cloister's own paths:
//
//	GET  /_cloister/jobs/{id}          what `cloister jobs show` shows
//	GET  /_cloister/jobs/{id}/flows    what a job in a VPC sent and was refused
//	POST /_cloister/jobs/{id}/cut      end the connections of a job in a VPC
//	GET  /_cloister/jobs/{id}/events   the event stream (text/event-stream); Last-Event-ID resumes
//	POST /_cloister/models/{name}/compare   base and custom model side by side
//	GET  /_cloister/capabilities       what is served, and in which regions something lies
//
// The edge has authenticated the caller; the service authorizes. Errors have the form of AWS's JSON services.
func own(s *bedrock.Service, jobFlows func(context.Context, string) (JobFlows, error), capable func(context.Context) (capabilities, error), log *slog.Logger) http.Handler {
	o := ownPaths{s, log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api.OwnPrefix+"jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		view, err := s.Show(r.Context(), r.PathValue("id"))
		o.answer(w, r, view, err)
	})
	mux.HandleFunc("GET "+api.OwnPrefix+"jobs/{id}/flows", func(w http.ResponseWriter, r *http.Request) {
		f, err := jobFlows(r.Context(), r.PathValue("id"))
		o.answer(w, r, f, err)
	})
	mux.HandleFunc("POST "+api.OwnPrefix+"jobs/{id}/cut", func(w http.ResponseWriter, r *http.Request) {
		o.answer(w, r, struct{}{}, s.Cut(r.Context(), r.PathValue("id")))
	})
	mux.HandleFunc("GET "+api.OwnPrefix+"jobs/{id}/events", func(w http.ResponseWriter, r *http.Request) { o.events(w, r) })
	mux.HandleFunc("POST "+api.OwnPrefix+"models/{name}/compare", func(w http.ResponseWriter, r *http.Request) {
		var c bedrock.Comparison
		dec := json.NewDecoder(r.Body) // which the edge has read, bounded and verified
		dec.DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			o.answer(w, r, nil, cloister.Errorf("SerializationException", "The body is not a comparison: a JSON object with prompts, records, maxNewTokens."))
			return
		}
		out, err := s.Compare(r.Context(), r.PathValue("name"), c)
		o.answer(w, r, out, err)
	})
	mux.HandleFunc("GET "+api.OwnPrefix+"capabilities", func(w http.ResponseWriter, r *http.Request) {
		c, err := capable(r.Context())
		o.answer(w, r, c, err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		o.answer(w, r, nil, cloister.Errorf("UnknownOperationException", "There is no such path.").WithStatus(http.StatusNotFound))
	})
	return mux
}

type ownPaths struct {
	s   *bedrock.Service
	log *slog.Logger
}

// answer writes v, or err in the form of AWS's JSON services.
func (o ownPaths) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err == nil {
		_ = json.NewEncoder(w).Encode(v) // the client may have gone
		return
	}
	code, message, status := cloister.Code(err), cloister.Message(err), statusOf(err)
	if code == "" {
		code, message = "InternalServerException", "The server could not answer; its log has the cause."
	}
	if status >= http.StatusInternalServerError {
		o.log.ErrorContext(r.Context(), "own path failed", slog.String("path", r.URL.Path), slog.String("request", cloister.CallFrom(r.Context()).RequestID), slog.Any("error", err))
	}
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message, "__type": code})
}

func statusOf(err error) int {
	var e *cloister.Error
	switch {
	case errors.As(err, &e) && e.Status != 0:
		return e.Status
	case cloister.Code(err) == "":
		return http.StatusInternalServerError
	case cloister.Code(err) == "ResourceNotFoundException":
		return http.StatusNotFound
	case cloister.Code(err) == "AccessDeniedException":
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// events sends a job's event stream. Source: WHATWG HTML, "Server-sent events".
func (o ownPaths) events(w http.ResponseWriter, r *http.Request) {
	after := int64(0)
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n < 0 {
			o.answer(w, r, nil, cloister.Errorf("ValidationException", "Last-Event-ID must be the id of an event."))
			return
		}
		after = n
	}
	out := http.NewResponseController(w)
	started := false
	begin := func() {
		if !started {
			started = true
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusOK)
		}
	}
	send := func(e bedrock.LogEntry) error {
		begin()
		if _, err := fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Type, e.Data); err != nil {
			return err
		}
		return out.Flush()
	}
	idle := func() error {
		begin()
		if _, err := io.WriteString(w, ": still here\n\n"); err != nil {
			return err
		}
		return out.Flush()
	}
	err := o.s.Watch(r.Context(), r.PathValue("id"), after, send, sseIdle, idle)
	switch {
	case started:
	case err != nil:
		o.answer(w, r, nil, err)
	default:
		begin()
	}
}

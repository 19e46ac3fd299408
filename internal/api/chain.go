package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/cloister"
	"example.com/cloister/internal/sigv4"
	"example.com/cloister/internal/wire"
)

// maxObject is the most that S3 takes in one request, in bytes, with room for the chunks' heads.
// Source: S3 User Guide, "Multipart upload limits": 5 GiB.
const maxObject = 5<<30 + 64<<20

// exchange is one request on its way through the chain.
type exchange struct {
	id        string
	service   string // as the scope names it, or "" without a scope
	principal string
	outcome   wire.Outcome
}

// ServeHTTP answers a request. The steps are one story, in this order: id, recovery and log, scope,
// authentication, limit, call, service.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	x := &exchange{id: uuid.NewString()}
	out := &recorder{ResponseWriter: w, stall: h.stall}
	in := &meter{stall: h.stall, rc: http.NewResponseController(w), source: r.Body}
	r = r.WithContext(r.Context()) // net/http keeps its own request, which knows whether the client waits to be told to go on
	r.Body = in
	w.Header().Set("X-Amzn-Requestid", x.id)
	defer func() { //nolint:contextcheck // the request's own context is what it logs with
		failed := recover()
		if failed != nil && failed != http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
			x.outcome.Err = fmt.Errorf("panic: %v\n%s", failed, debug.Stack())
			if !out.wrote {
				x.outcome = h.refuse(out, r, x, x.outcome.Err)
			} else {
				failed = http.ErrAbortHandler
			}
		}
		in.finish()
		h.finish(r.Context(), x, start, in.read, out)
		if failed == http.ErrAbortHandler { //nolint:errorlint // see above
			panic(failed)
		}
	}()
	scope, err := sigv4.ParseScope(r)
	if scope != nil {
		x.service = scope.Service
	}
	if x.guess(h, r) == serviceS3 {
		h.s3Headers(w, x)
	}
	if err != nil {
		x.outcome = h.refuse(out, r, x, err)
		return
	}
	in.until = deadline(h.hurry)
	call, err := h.authenticate(w, r, scope, x)
	if err != nil {
		x.outcome = h.refuse(out, r, x, err)
		return
	}
	in.until = time.Time{}
	slots := h.slots
	if x.service == serviceOwn {
		slots = h.ownSlots
	}
	if !take(slots) {
		x.outcome = h.refuse(out, r, x, overloaded(x.service))
		return
	}
	defer func() { <-slots }()
	h.dispatch(out, r.WithContext(cloister.WithCall(r.Context(), call)), x)
}

// take takes a slot if one is free.
func take(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// authenticate verifies the signature and says who calls. Who is not known yet takes no slot of those who
// are, and has to hurry.
func (h *Handler) authenticate(w http.ResponseWriter, r *http.Request, scope *sigv4.Scope, x *exchange) (cloister.Call, error) {
	if !take(h.unknown) {
		return cloister.Call{}, overloaded(x.service)
	}
	defer func() { <-h.unknown }()
	if scope.Service == serviceS3 {
		r.Body = http.MaxBytesReader(w, r.Body, maxObject)
	}
	credential, err := h.credentials.Credential(r.Context(), scope.AccessKeyID)
	unknown := cloister.Code(err) == "InvalidClientTokenId"
	if err != nil && !unknown {
		return cloister.Call{}, fmt.Errorf("look up access key: %w", err)
	}
	key := sigv4.Key{Unknown: unknown, Secret: credential.Secret, SessionToken: credential.SessionToken}
	if err := h.verifier.Verify(r, scope, key); err != nil {
		return cloister.Call{}, err
	}
	x.principal = credential.Principal.ARN
	call := cloister.Call{
		RequestID: x.id, Principal: credential.Principal, Region: scope.Region,
		SourceIP: sourceIP(r), Secure: r.TLS != nil,
	}
	return call, throughEndpoint(r, scope.Service, &call)
}

func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// dispatch hands an authenticated request to its service.
func (h *Handler) dispatch(w *recorder, r *http.Request, x *exchange) {
	below := strings.HasPrefix(r.URL.EscapedPath(), OwnPrefix)
	service, served := h.services[x.service]
	switch {
	case below && x.service == serviceOwn:
		ctx, cancel := untilDrained(r.Context())
		defer cancel()
		h.own.ServeHTTP(w, r.WithContext(ctx))
		x.outcome = wire.Outcome{Operation: "own", Status: w.status}
	case below:
		x.outcome = h.refuse(w, r, x, cloister.Errorf("InvalidRequest", "Paths below %s must be signed for the service %q.", OwnPrefix, serviceOwn))
	case x.service == serviceOwn:
		x.outcome = h.refuse(w, r, x, cloister.Errorf("InvalidRequest", "The service %q has no paths but those below %s.", serviceOwn, OwnPrefix))
	case !served:
		x.outcome = h.refuse(w, r, x, unservedService(x.service))
	case x.service == serviceS3 && endpointBucket(r):
		service.Serve(w, r, func(o wire.Outcome) { x.outcome = o })
	case x.service == serviceS3 && virtualHost(r.Host):
		x.outcome = h.refuse(w, r, x, cloister.Errorf("InvalidRequest",
			"Virtual-hosted-style addresses (BUCKET.localhost) are not served: use path-style ones, or an IP address in the endpoint, with which clients choose path style by themselves."))
	default:
		service.Serve(w, r, func(o wire.Outcome) { x.outcome = o })
	}
}

func unservedService(name string) error {
	return cloister.Errorf("UnknownOperationException", "The service %q is not served here: Cloister serves bedrock, ec2, iam, kms, s3 and sts.", name).
		WithStatus(http.StatusBadRequest)
}

// virtualHost says that a host name has a bucket's name before "localhost".
func virtualHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.HasSuffix(strings.ToLower(host), ".localhost")
}

func overloaded(service string) error {
	code := "ThrottlingException"
	if service == serviceS3 {
		code = "SlowDown"
	}
	return cloister.Errorf(code, "The server has as many requests as it takes. Retry later.").WithStatus(http.StatusServiceUnavailable)
}

// guess is the service whose form of errors suits the request: the scope's, or what the request looks like.
func (x *exchange) guess(h *Handler, r *http.Request) string {
	if _, served := h.services[x.service]; served {
		return x.service
	}
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		return serviceKMS
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return serviceSTS
	case x.service != "" || strings.HasPrefix(r.URL.EscapedPath(), OwnPrefix):
		return serviceKMS
	case !r.URL.Query().Has("AWSAccessKeyId") && !r.URL.Query().Has("X-Amz-Algorithm") && h.services[serviceBedrock].Recognizes(r):
		return serviceBedrock
	default:
		return serviceS3
	}
}

// refuse answers with err in the form that suits the request.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, x *exchange, err error) wire.Outcome {
	name := x.guess(h, r)
	dialect := sigv4.DialectJSON
	switch name {
	case serviceS3:
		dialect = sigv4.DialectS3
	case serviceEC2:
		dialect = sigv4.DialectEC2
	case serviceIAM, serviceSTS:
		dialect = sigv4.DialectQuery
	}
	if problem, ok := errors.AsType[*sigv4.SignatureError](err); ok {
		err = problem.For(dialect)
	}
	if cloister.Code(err) == "" && errors.Is(r.Context().Err(), context.Canceled) {
		err = cloister.Errorf("RequestTimeout", "The client went away.").WithStatus(http.StatusBadRequest).WithCause(err)
	}
	return h.services[name].WriteError(w, r, x.id, err)
}

// s3Headers sets the ids that S3's clients print.
func (h *Handler) s3Headers(w http.ResponseWriter, x *exchange) {
	w.Header().Set("X-Amz-Request-Id", x.id)
	w.Header().Set("X-Amz-Id-2", strings.ReplaceAll(x.id, "-", ""))
}

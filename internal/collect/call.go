package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"example.com/cloister/internal/pace"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/tape"
)

// Codes of unread data that are this package's.
const (
	codeNotRecorded = "NotRecorded"
	codeCredentials = "Credentials"
	codeNetwork     = "Network"
	codeCanceled    = "Canceled"
	codeNoRegions   = "NoRegions"
	codeTooMany     = "TooMany"
)

// answer is what came of a call.
type answer[O any] struct {
	out      *O
	source   *posture.Source
	why      *posture.Unread
	unserved bool
	skipped  bool // no chosen rule reads it
}

// call makes one call for an account in a region, at the account's pace, and tries again what may pass.
func call[I, O, P any](ctx context.Context, g *region, operation, resource string, method func(context.Context, *I, ...func(*P)) (*O, error), in *I) answer[O] {
	return callPage(ctx, g, operation, resource, 0, method, in)
}

func callPage[I, O, P any](ctx context.Context, g *region, operation, resource string, page int, method func(context.Context, *I, ...func(*P)) (*O, error), in *I) answer[O] {
	a := answer[O]{source: &posture.Source{Operation: operation, Account: g.account.inv.ID, Region: g.name, Resource: resource, Page: page}}
	if !g.Wanted[operation] {
		a.skipped = true
		return a
	}
	if g.unserved(operation) {
		a.unserved = true
		return a
	}
	out, err := flight(ctx, g, operation, method, in)
	a.source.Time = g.Now().UTC().Truncate(time.Second)
	if g.Player != nil {
		a.source.Time = g.started
	}
	if err != nil {
		a.why = unread(*a.source, err)
		g.gaps.Add(1)
		return a
	}
	a.out = out
	a.source.RequestID = requestID(out)
	return a
}

// flight lets equal calls that are made at once be one.
func flight[I, O, P any](ctx context.Context, g *region, operation string, method func(context.Context, *I, ...func(*P)) (*O, error), in *I) (*O, error) {
	key := g.account.inv.ID + "/" + g.name + "/" + operation
	params, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	shared, err, _ := g.flights.Do(key+" "+string(params), func() (any, error) { return attempts(ctx, g, key, method, in) })
	out, _ := shared.(*O)
	return out, err
}

// attempts tries until there is an answer, or no hope for one.
func attempts[I, O, P any](ctx context.Context, g *region, key string, method func(context.Context, *I, ...func(*P)) (*O, error), in *I) (*O, error) {
	for attempt := 1; ; attempt++ {
		out, err := try(ctx, g, key, method, in)
		if err == nil || attempt >= g.MaxAttempts || ctx.Err() != nil || !retryable(err) {
			return out, err
		}
		if err := sleep(ctx, backoff(attempt)); err != nil {
			return nil, err
		}
	}
}

// try makes one attempt.
func try[I, O, P any](ctx context.Context, g *region, key string, method func(context.Context, *I, ...func(*P)) (*O, error), in *I) (*O, error) {
	if g.Player != nil { // nothing to be gentle with
		return method(ctx, in)
	}
	ticket, err := admit(ctx, g, key)
	if err != nil {
		return nil, err
	}
	defer g.slots.Release(1)
	ctx, cancel := context.WithTimeout(ctx, g.CallTimeout)
	defer cancel()
	g.calls.Add(1)
	out, err := method(ctx, in)
	throttled := err != nil && isThrottle(err)
	if throttled {
		g.throttled.Add(1)
	}
	ticket.Done(throttled)
	return out, err
}

// admit waits for the pace and for a slot, which it leaves taken.
func admit(ctx context.Context, g *region, key string) (pace.Ticket, error) {
	for {
		ticket, err := g.pacer.Wait(ctx, key)
		if err != nil {
			return ticket, err
		}
		if err := g.slots.Acquire(ctx, 1); err != nil {
			return ticket, err
		}
		if !ticket.Stale() {
			return ticket, nil
		}
		g.slots.Release(1)
	}
}

func isThrottle(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary || hasCode(err, "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded")
}

func hasCode(err error, codes ...string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return true
		}
	}
	return false
}

// retryable says whether trying again may help.
func retryable(err error) bool {
	if errors.Is(err, tape.ErrNotRecorded) {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false
	}
	if isThrottle(err) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// backoff is how long to wait before the next attempt: doubling from 100 ms to 5 s, half of it by chance.
func backoff(attempt int) time.Duration {
	d := min(100*time.Millisecond<<min(attempt-1, 6), 5*time.Second)
	return d/2 + time.Duration(rand.Int64N(int64(d/2))) //nolint:gosec // not a secret
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func requestID(out any) string {
	v := reflect.ValueOf(out).Elem().FieldByName("ResultMetadata")
	if !v.IsValid() {
		return ""
	}
	metadata, ok := reflect.TypeAssert[middleware.Metadata](v)
	if !ok {
		return ""
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(metadata)
	return id
}

// unread says why a call failed.
func unread(source posture.Source, err error) *posture.Unread {
	u := &posture.Unread{Source: source, Code: codeNetwork, Message: err.Error()}
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		u.RequestID = resp.ServiceRequestID()
	}
	api, isAPI := errors.AsType[smithy.APIError](err)
	deserialization, isDeserialization := errors.AsType[*smithy.DeserializationError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	send, isSend := errors.AsType[*url.Error](err)
	switch {
	case errors.Is(err, tape.ErrNotRecorded):
		u.Code, u.Message = codeNotRecorded, "the recording does not have this call"
	case errors.Is(err, context.Canceled):
		u.Code, u.Message = codeCanceled, "the audit was stopped"
	case errors.Is(err, context.DeadlineExceeded), isTimeout && timeout.Timeout():
		u.Code, u.Message = posture.CodeTimeout, "no answer in time"
	case isDNS && dns.IsNotFound:
		u.Code, u.Message = posture.CodeNoSuchHost, "no such host: "+dns.Name
	case isDeserialization:
		u.Code, u.Message = posture.CodeMalformed, "the answer cannot be read: "+deserialization.Err.Error()
	case isAPI:
		u.Code, u.Message = api.ErrorCode(), api.ErrorMessage()
		if slices.Contains(ownCodes(), u.Code) { // a service does not speak for us
			u.Code = "service:" + u.Code
		}
	case isSend: // without the layers around it, which only repeat the operation
		u.Message = send.Err.Error()
	}
	u.Code, u.Message = plain(u.Code, 80), plain(u.Message, 400)
	return u
}

// ownCodes are the codes that mean something to the auditor itself.
func ownCodes() []string {
	return []string{
		posture.CodeNeedsEvaluator, posture.CodeOtherAccount, posture.CodeNotCollected, posture.CodeNotChosen, posture.CodeMalformed, posture.CodeTimeout, posture.CodeNoSuchHost,
		codeNotRecorded, codeCredentials, codeNetwork, codeCanceled, codeNoRegions, codeTooMany,
	}
}

// plain is text from a service without control characters and not longer than most bytes.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// datum takes a value out of an answer. take returns an error for an answer that lacks what AWS promises.
func datum[T, O any](a answer[O], take func(*O) (T, error)) posture.Datum[T] {
	switch {
	case a.skipped:
		return posture.Datum[T]{}
	case a.unserved:
		return posture.Unserved[T](a.source)
	case a.why != nil:
		return posture.Missing[T](a.why)
	}
	value, err := take(a.out)
	if err != nil {
		return posture.Missing[T](malformed(*a.source, err))
	}
	return posture.Known(value, a.source)
}

func malformed(source posture.Source, err error) *posture.Unread {
	return &posture.Unread{Source: source, Code: posture.CodeMalformed, Message: plain(err.Error(), 400)}
}

// absent turns the answers that mean "not configured" into a known value.
func absent[T any](d posture.Datum[T], value T, codes ...string) posture.Datum[T] {
	if why := d.Why(); why != nil && slices.Contains(codes, why.Code) {
		return posture.Known(value, &why.Source)
	}
	return d
}

// gone turns the answer that the thing itself does not exist into that.
func gone[T any](d posture.Datum[T], what, code string) posture.Datum[T] {
	if why := d.Why(); why != nil && why.Code == code {
		return posture.Gone[T](&why.Source, what)
	}
	return d
}

// Bounds of one listing; AWS's own quotas are far below.
const (
	mostPages = 10_000
	mostItems = 1_000_000
)

// list reads all pages of a listing. next puts a page's token into the input; take makes the page's items and returns the
// token of the page after it.
func list[I, O, P, T any](ctx context.Context, g *region, operation, resource string, method func(context.Context, *I, ...func(*P)) (*O, error), in *I,
	next func(in *I, token *string), take func(out *O, page *posture.Source) ([]T, *string, error),
) posture.List[T] {
	l := posture.List[T]{Collected: true, Source: posture.Source{Operation: operation, Account: g.account.inv.ID, Region: g.name, Resource: resource}}
	tokens := map[string]bool{}
	for page := 1; ; page++ {
		a := callPage(ctx, g, operation, resource, page, method, in)
		switch {
		case a.skipped:
			return posture.List[T]{}
		case a.unserved:
			l.NotServed = true
			return l
		case a.why != nil:
			l.Why = a.why
			return l
		}
		items, token, err := take(a.out, a.source)
		if err != nil {
			l.Why = malformed(*a.source, err)
			return l
		}
		l.Items = append(l.Items, items...)
		l.Pages = append(l.Pages, a.source)
		if page >= mostPages || len(l.Items) >= mostItems {
			l.Why = &posture.Unread{Source: *a.source, Code: codeTooMany, Message: "the listing does not end: it was left after " + strconv.Itoa(len(l.Items)) + " items"}
			return l
		}
		if token == nil || *token == "" {
			return l
		}
		if tokens[*token] {
			l.Why = malformed(*a.source, fmt.Errorf("page %d repeats a token of an earlier page", page))
			return l
		}
		tokens[*token] = true
		next(in, token)
	}
}

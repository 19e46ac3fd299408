package flows

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/internal/flowlog"
	"example.com/cloister/internal/netns"
)

// publisher writes one interface's records to one flow log.
type publisher struct {
	Publish
	format     flowlog.Format
	aggregator *flowlog.Aggregator
}

// publish hands a reading to the flow logs of its interface, and writes the files that are complete. end says that no reading
// follows.
func (c *Collector) publish(ctx context.Context, a *attached, r *netns.Reading, end bool) {
	configured, err := c.Publish(ctx, a.Interface)
	if err != nil { // those that are known go on
		c.Log.ErrorContext(ctx, "the flow logs of a job are not known", slog.String("job", a.Job), slog.Any("error", err))
	}
	a.publishing.Lock()
	defer a.publishing.Unlock()
	if a.ended { // a reading that came late
		return
	}
	a.ended = end
	now := map[string]bool{}
	for _, log := range configured {
		now[log.ID] = true
		if a.logs[log.ID] == nil {
			p, err := newPublisher(a.Interface, log)
			if err != nil {
				c.Delivered(ctx, a.Interface, log.ID, err)
				continue
			}
			a.logs[log.ID] = p
		}
	}
	for id, p := range a.logs {
		records := p.aggregator.Add(reading(*r))
		if end || err == nil && !now[id] { // the interface, or the flow log, has ended
			records = append(records, p.aggregator.Close()...)
			delete(a.logs, id)
		}
		if len(records) > 0 {
			c.Delivered(ctx, a.Interface, p.ID, c.put(ctx, a.Interface, p, r.To, records))
		}
	}
}

func newPublisher(i Interface, log Publish) (*publisher, error) {
	format, err := flowlog.ParseFormat(log.Format)
	if err != nil {
		return nil, err
	}
	aggregator, err := flowlog.NewAggregator(flowlog.Options{
		Interface: flowlog.Interface{ID: i.ID, Account: string(i.Account), VPC: i.VPC, Subnet: i.Subnet, Zone: i.Zone, Addr: i.Addr},
		Interval:  log.Interval, Traffic: flowlog.Traffic(log.Traffic), Keep: func(f flowlog.Flow) bool { return flowlog.Published(f, i.Resolver, i.Router) },
	})
	return &publisher{log, format, aggregator}, err
}

func reading(r netns.Reading) flowlog.Reading {
	out := flowlog.Reading{From: r.From, To: r.To, Full: r.Full}
	for _, f := range r.Flows {
		out.Flows = append(out.Flows, flowlog.Flow(f))
	}
	return out
}

// put writes records as one file, which ends with the reading that completed them.
func (c *Collector) put(ctx context.Context, i Interface, p *publisher, end time.Time, records []flowlog.Record) error {
	key, gz := flowlog.Place{Account: string(i.Account), Region: string(i.Region), FlowLog: p.ID, Prefix: p.Prefix}.File(end, records, p.format)
	// The delivery writes as the account whose flow log it is: bucket policies, which AWS's delivery asks, are not evaluated yet.
	as := cloister.WithCall(ctx, cloister.Call{Principal: cloister.RootPrincipal(i.Account), Region: i.Region, Secure: true, ViaService: "delivery.logs.amazonaws.com"})
	_, err := c.Objects.PutObject(as, &s3.PutObjectInput{
		Bucket: &p.Bucket, Key: &key, Body: bytes.NewReader(gz), ContentLength: aws.Int64(int64(len(gz))), ContentType: aws.String("application/x-gzip"),
	})
	if err != nil {
		c.Log.WarnContext(ctx, "a flow log was not delivered", slog.String("flowLog", p.ID), slog.String("bucket", p.Bucket), slog.Any("error", err))
		return fmt.Errorf("%s: %w", p.Bucket, err)
	}
	return nil
}

package server

import (
	"context"
	"net/netip"

	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/flows"
)

// JobFlows is what a job in a VPC sent and was refused.
type JobFlows struct {
	Job     string         `json:"job"`
	JobARN  string         `json:"jobArn"`
	Status  bedrock.Status `json:"status"`
	Network string         `json:"network"`
	// Attachment is the job's interface, nil for a job without a VPC.
	Attachment *bedrock.Attachment `json:"attachment,omitempty"`
	// Names say what known addresses are.
	Names map[string]string `json:"names"`
	Flows []flows.Total     `json:"flows"`
	// Queries are what the job asked the VPC's resolver.
	Queries []flows.Asked `json:"queries"`
}

// jobFlows is authorized as GetModelCustomizationJob is.
func (s *Server) jobFlows(ctx context.Context, identifier string) (JobFlows, error) {
	view, err := s.bedrock.Show(ctx, identifier)
	if err != nil {
		return JobFlows{}, err
	}
	out := JobFlows{Job: view.JobName, JobARN: view.JobARN, Status: view.Status, Network: view.Network, Attachment: view.Attachment, Names: map[string]string{}}
	if a := view.Attachment; a != nil {
		out.Names = map[string]string{
			a.Address: "the job", a.EndpointAddress: "S3 (" + a.EndpointID + ")", a.ResolverAddress: "resolver of " + a.VPC,
			"169.254.169.254": "metadata service", "192.0.2.1": "canary: no such host",
		}
		if addr, err := netip.ParseAddr(a.ResolverAddress); err == nil {
			out.Names[addr.Prev().String()] = "router of " + a.VPC
		}
	}
	out.Flows, out.Queries, err = s.db.Flows().JobFlows(ctx, view.JobID)
	return out, err
}

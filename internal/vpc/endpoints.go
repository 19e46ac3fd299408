package vpc

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// fullAccess is the policy of an endpoint that was given none.
// Source: PrivateLink guide, "Default endpoint policy".
const fullAccess = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

// isFullAccess reports whether a policy allows everything: one statement without conditions.
func isFullAccess(text string) bool {
	var doc struct {
		Version, ID string
		Statement   json.RawMessage
	}
	if json.Unmarshal([]byte(text), &doc) != nil {
		return false
	}
	var statements []map[string]any
	if json.Unmarshal(doc.Statement, &statements) != nil {
		var single map[string]any
		if json.Unmarshal(doc.Statement, &single) != nil {
			return false
		}
		statements = append(statements, single)
	}
	if len(statements) != 1 {
		return false
	}
	for key, value := range statements[0] {
		if m, ok := value.(map[string]any); ok && key == "Principal" && len(m) == 1 {
			value = m["AWS"]
		}
		if values, ok := value.([]any); ok && len(values) == 1 {
			value = values[0]
		}
		want := map[string]string{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}[key]
		if key != "Sid" && (want == "" || value != want) {
			return false
		}
	}
	return statements[0]["Effect"] != nil && statements[0]["Principal"] != nil && statements[0]["Action"] != nil && statements[0]["Resource"] != nil
}

func checkEndpointPolicy(text *string) error {
	if text != nil && *text != "" && !isFullAccess(*text) {
		return unsupported("Endpoint policies other than full access are not enforced here yet, so they are refused: leave PolicyDocument out")
	}
	return nil
}

// CreateVpcEndpoint makes a gateway endpoint of S3: subnets with its route tables reach S3, and nothing else.
func (s *Service) CreateVpcEndpoint(ctx context.Context, in *ec2.CreateVpcEndpointInput, _ ...func(*ec2.Options)) (*ec2.CreateVpcEndpointOutput, error) {
	if err := s.allow(ctx, "CreateVpcEndpoint", "vpc/"+aws.ToString(in.VpcId), "vpc-endpoint/*"); err != nil {
		return nil, err
	}
	for _, id := range in.RouteTableIds {
		if err := s.allow(ctx, "CreateVpcEndpoint", "route-table/"+id); err != nil {
			return nil, err
		}
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	region := cloister.CallFrom(ctx).Region
	service := aws.ToString(in.ServiceName)
	if in.VpcEndpointType != "" && in.VpcEndpointType != types.VpcEndpointTypeGateway {
		return nil, unsupported("Endpoints of type %s are not supported here: the gateway endpoint of %s is", in.VpcEndpointType, s3Service(region))
	}
	if err := only(in, "VpcId", "ServiceName", "VpcEndpointType", "RouteTableIds", "PolicyDocument", "TagSpecifications", "ClientToken", "IpAddressType", "ServiceRegion"); err != nil {
		return nil, err
	}
	switch {
	case service == "com.amazonaws."+string(region)+".dynamodb":
		return nil, unsupported("The endpoint service %s is not supported here: %s is", service, s3Service(region))
	case service != s3Service(region):
		return nil, cloister.Errorf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", service)
	case in.IpAddressType != "" && in.IpAddressType != types.IpAddressTypeIpv4:
		return nil, unsupported("The address type %s is not supported here: IPv6 is closed", in.IpAddressType)
	case in.ServiceRegion != nil && *in.ServiceRegion != string(region):
		return nil, unsupported("Endpoints of services in another region are not supported here")
	}
	if err := checkEndpointPolicy(in.PolicyDocument); err != nil {
		return nil, err
	}
	tags, err := tagsFor(types.ResourceTypeVpcEndpoint, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	token := aws.ToString(in.ClientToken)
	plain := *in
	plain.ClientToken = nil
	print := fingerprint(plain)
	out := &ec2.CreateVpcEndpointOutput{ClientToken: in.ClientToken}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		e, err := replayed(&n.endpoints, token, print)
		if err != nil {
			return err
		}
		if e == nil {
			v, err := n.vpc(aws.ToString(in.VpcId))
			if err != nil {
				return err
			}
			id, err := s.newID("vpce")
			if err != nil {
				return err
			}
			e = &endpointRes{base: base{ID: id, Created: s.now(), Tags: tags}, VPC: v.ID, Policy: aws.ToString(in.PolicyDocument)}
			if token != "" {
				e.Token, e.Print = token, print
			}
			n.endpoints.add(e)
			if err := n.addTables(e, in.RouteTableIds); err != nil {
				return err
			}
		}
		shown := n.showEndpoint(e)
		out.VpcEndpoint = &shown
		return nil
	})
}

// addTables gives route tables the route to an endpoint. A table has one for S3 at most.
func (n *network) addTables(e *endpointRes, ids []string) error {
	for _, id := range ids {
		t, ok := n.tables.find(id)
		if !ok {
			return notFound("InvalidRouteTableId.NotFound", "The routeTable ID '%s' does not exist", id)
		}
		if t.VPC != e.VPC {
			return cloister.Errorf("InvalidParameter", "Route table %s does not belong to VPC %s", id, e.VPC)
		}
		for _, other := range n.endpoints.items {
			if other.ID != e.ID && slices.Contains(other.Tables, id) {
				return cloister.Errorf("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", id, s3ListID(n.Region))
			}
		}
		e.Tables = appendNew(e.Tables, id)
	}
	return nil
}

// showEndpoint describes an endpoint. Its state is in lower case on AWS's wire, whatever the SDK's constants say.
func (n *network) showEndpoint(e *endpointRes) types.VpcEndpoint {
	policy := e.Policy
	if policy == "" {
		policy = fullAccess
	}
	return types.VpcEndpoint{
		VpcEndpointId: aws.String(e.ID), VpcEndpointType: types.VpcEndpointTypeGateway, VpcId: aws.String(e.VPC), ServiceName: aws.String(s3Service(n.Region)),
		State: "available", PolicyDocument: aws.String(policy), RouteTableIds: append([]string{}, e.Tables...), OwnerId: aws.String(string(n.Account)),
		CreationTimestamp: aws.Time(e.Created), Tags: tagList(e.Tags), PrivateDnsEnabled: aws.Bool(false), RequesterManaged: aws.Bool(false),
		SubnetIds: []string{}, Groups: []types.SecurityGroupIdentifier{}, NetworkInterfaceIds: []string{}, DnsEntries: []types.DnsEntry{},
		IpAddressType: types.IpAddressTypeIpv4, ServiceRegion: aws.String(string(n.Region)),
	}
}

// DescribeVpcEndpoints describes endpoints.
func (s *Service) DescribeVpcEndpoints(ctx context.Context, in *ec2.DescribeVpcEndpointsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointsOutput, error) {
	if err := s.allow(ctx, "DescribeVpcEndpoints"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	d := described[types.VpcEndpoint]{
		notFound: "InvalidVpcEndpointId.NotFound", text: "The Vpc Endpoint Id '%s' does not exist", ids: "vpcEndpointIds",
		id: func(e *types.VpcEndpoint) *string { return e.VpcEndpointId }, tags: func(e *types.VpcEndpoint) []types.Tag { return e.Tags },
		filters: map[string]func(*types.VpcEndpoint) []string{
			"ip-address-type": func(e *types.VpcEndpoint) []string { return word(e.IpAddressType) },
			"service-name":    func(e *types.VpcEndpoint) []string { return one(e.ServiceName) },
			"service-region":  func(e *types.VpcEndpoint) []string { return one(e.ServiceRegion) },
			"vpc-endpoint-id": func(e *types.VpcEndpoint) []string { return one(e.VpcEndpointId) },
			"vpc-endpoint-state": func(e *types.VpcEndpoint) []string {
				return word(e.State)
			},
			"vpc-endpoint-type": func(e *types.VpcEndpoint) []string { return word(e.VpcEndpointType) },
			"vpc-id":            func(e *types.VpcEndpoint) []string { return one(e.VpcId) },
		},
	}
	out, next, err := describe(d, mapped(n.endpoints.items, n.showEndpoint), query{in.VpcEndpointIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: out, NextToken: next}, dryRun(in.DryRun)
}

// ModifyVpcEndpoint changes which route tables have an endpoint. Tables of subnets in which a job runs keep it.
func (s *Service) ModifyVpcEndpoint(ctx context.Context, in *ec2.ModifyVpcEndpointInput, _ ...func(*ec2.Options)) (*ec2.ModifyVpcEndpointOutput, error) {
	id := aws.ToString(in.VpcEndpointId)
	if err := s.allow(ctx, "ModifyVpcEndpoint", "vpc-endpoint/"+id); err != nil {
		return nil, err
	}
	for _, t := range slices.Concat(in.AddRouteTableIds, in.RemoveRouteTableIds) {
		if err := s.allow(ctx, "ModifyVpcEndpoint", "route-table/"+t); err != nil {
			return nil, err
		}
	}
	if err := only(in, "VpcEndpointId", "AddRouteTableIds", "RemoveRouteTableIds", "PolicyDocument", "ResetPolicy"); err != nil {
		return nil, err
	}
	if aws.ToBool(in.ResetPolicy) && in.PolicyDocument != nil {
		return nil, badCombination("The parameters resetPolicy and policyDocument cannot be used together")
	}
	if err := checkEndpointPolicy(in.PolicyDocument); err != nil {
		return nil, err
	}
	out := &ec2.ModifyVpcEndpointOutput{Return: aws.Bool(true)}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		e, ok := n.endpoints.find(id)
		if !ok {
			return notFound("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
		}
		for _, t := range in.RemoveRouteTableIds {
			i := slices.Index(e.Tables, t)
			if i < 0 {
				return notFound("InvalidRouteTableId.NotFound", "The routeTable ID '%s' does not exist in this endpoint", t)
			}
			e.Tables = slices.Delete(e.Tables, i, i+1)
		}
		switch {
		case aws.ToBool(in.ResetPolicy):
			e.Policy = ""
		case in.PolicyDocument != nil:
			e.Policy = *in.PolicyDocument
		}
		return n.addTables(e, in.AddRouteTableIds)
	})
}

// DeleteVpcEndpoints deletes endpoints, each by itself: what cannot be deleted is named in the answer.
func (s *Service) DeleteVpcEndpoints(ctx context.Context, in *ec2.DeleteVpcEndpointsInput, _ ...func(*ec2.Options)) (*ec2.DeleteVpcEndpointsOutput, error) {
	if err := s.allow(ctx, "DeleteVpcEndpoints", each("vpc-endpoint", in.VpcEndpointIds)...); err != nil {
		return nil, err
	}
	out := &ec2.DeleteVpcEndpointsOutput{Unsuccessful: []types.UnsuccessfulItem{}}
	for _, id := range in.VpcEndpointIds {
		err := s.change(ctx, in.DryRun, func(n *network) error {
			if _, ok := n.endpoints.find(id); !ok {
				return notFound("InvalidVpcEndpoint.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
			}
			n.endpoints.remove(id)
			return nil
		})
		if err != nil && (cloister.Code(err) == "" || cloister.Code(err) == "DryRunOperation") {
			return nil, err
		}
		out.Unsuccessful = append(out.Unsuccessful, unsuccessful(id, err)...)
	}
	return out, nil
}

// unsuccessful names what could not be done, or nothing.
func unsuccessful(id string, err error) []types.UnsuccessfulItem {
	if err == nil {
		return nil
	}
	return []types.UnsuccessfulItem{{
		ResourceId: aws.String(id), Error: &types.UnsuccessfulItemError{Code: aws.String(cloister.Code(err)), Message: aws.String(cloister.Message(err))},
	}}
}

// DescribeVpcEndpointServices describes the services that endpoints can be made of: S3.
func (s *Service) DescribeVpcEndpointServices(ctx context.Context, in *ec2.DescribeVpcEndpointServicesInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointServicesOutput, error) {
	if err := s.allow(ctx, "DescribeVpcEndpointServices"); err != nil {
		return nil, err
	}
	region := cloister.CallFrom(ctx).Region
	if err := only(in, "Filters", "MaxResults", "NextToken", "ServiceNames"); err != nil {
		return nil, err
	}
	for _, name := range in.ServiceNames {
		if name != s3Service(region) {
			return nil, cloister.Errorf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
		}
	}
	all := []types.ServiceDetail{{
		ServiceName: aws.String(s3Service(region)), ServiceId: aws.String(derivedID("vpce-svc", s3Service(region), 17)), Owner: aws.String("amazon"),
		ServiceType: []types.ServiceTypeDetail{{ServiceType: types.ServiceTypeGateway}}, ServiceRegion: aws.String(string(region)),
		AvailabilityZones:          mapped(zonesOf(region), func(z zone) string { return z.Name }),
		AvailabilityZoneIds:        mapped(zonesOf(region), func(z zone) string { return z.ID }),
		BaseEndpointDnsNames:       []string{s3Names(region)[0]},
		VpcEndpointPolicySupported: aws.Bool(true), AcceptanceRequired: aws.Bool(false), ManagesVpcEndpoints: aws.Bool(false), Tags: []types.Tag{},
		SupportedIpAddressTypes: []types.ServiceConnectivityType{types.ServiceConnectivityTypeIpv4},
	}}
	d := described[types.ServiceDetail]{
		id: func(s *types.ServiceDetail) *string { return s.ServiceName }, tags: func(s *types.ServiceDetail) []types.Tag { return s.Tags },
		filters: map[string]func(*types.ServiceDetail) []string{
			"owner":          func(s *types.ServiceDetail) []string { return one(s.Owner) },
			"service-name":   func(s *types.ServiceDetail) []string { return one(s.ServiceName) },
			"service-region": func(s *types.ServiceDetail) []string { return one(s.ServiceRegion) },
			"service-type":   func(s *types.ServiceDetail) []string { return word(s.ServiceType[0].ServiceType) },
		},
	}
	out, next, err := describe(d, all, query{filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeVpcEndpointServicesOutput{
		ServiceDetails: out, ServiceNames: mapped(out, func(d types.ServiceDetail) string { return *d.ServiceName }), NextToken: next,
	}, dryRun(in.DryRun)
}

package vpc_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/vpc"
)

func TestFlowLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	other := r.newSubnet(s.vpc, "10.20.2.0/24")
	a := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	create := func(in *ec2.CreateFlowLogsInput) *ec2.CreateFlowLogsOutput {
		t.Helper()
		in.LogDestinationType = "s3"
		return ok[*ec2.CreateFlowLogsOutput](t)(r.CreateFlowLogs(r.ctx, in))
	}
	ofVPC := create(&ec2.CreateFlowLogsInput{ResourceType: "VPC", ResourceIds: []string{s.vpc, "vpc-1"}, LogDestination: aws.String("arn:aws:s3:::logs"), TrafficType: "ALL"})
	if len(ofVPC.FlowLogIds) != 1 || len(ofVPC.Unsuccessful) != 1 || *ofVPC.Unsuccessful[0].Error.Code != "InvalidVpcId.NotFound" || *ofVPC.Unsuccessful[0].ResourceId != "vpc-1" {
		t.Errorf("one VPC of two: %+v", ofVPC)
	}
	again := create(&ec2.CreateFlowLogsInput{ResourceType: "VPC", ResourceIds: []string{s.vpc}, LogDestination: aws.String("arn:aws:s3:::logs"), TrafficType: "ALL"})
	if len(again.FlowLogIds) != 0 || *again.Unsuccessful[0].Error.Code != "FlowLogAlreadyExists" {
		t.Errorf("the same again: %+v", again)
	}
	ofSubnets := create(&ec2.CreateFlowLogsInput{ResourceType: "Subnet", ResourceIds: []string{s.subnet, other}, LogDestination: aws.String("arn:aws:s3:::logs/a/b/"), TrafficType: "REJECT", MaxAggregationInterval: aws.Int32(60), LogFormat: aws.String("${version}  ${az-id}"), TagSpecifications: tagSpec("vpc-flow-log", "a", "b")}).FlowLogIds
	ofInterface := create(&ec2.CreateFlowLogsInput{ResourceType: "NetworkInterface", ResourceIds: []string{a.Interface}, LogDestination: aws.String("arn:aws:s3:::logs"), TrafficType: "ACCEPT"}).FlowLogIds

	logs := ok[[]vpc.FlowLog](t)(r.FlowLogsOf(r.ctx, a.Interface))
	type short struct {
		Resource, Bucket, Prefix, Format, Traffic string
		Interval                                  time.Duration
	}
	got := map[string]short{}
	for _, l := range logs {
		got[l.ID] = short{l.Resource, l.Bucket, l.Prefix, l.Format, string(l.Traffic), l.Interval}
	}
	want := map[string]short{
		ofVPC.FlowLogIds[0]: {s.vpc, "logs", "", "", "ALL", 10 * time.Minute},
		ofSubnets[0]:        {s.subnet, "logs", "a/b", "${version} ${az-id}", "REJECT", time.Minute},
		ofInterface[0]:      {a.Interface, "logs", "", "", "ACCEPT", 10 * time.Minute},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("FlowLogsOf (-want +got):\n%s", diff)
	}
	for _, step := range []struct {
		err          error
		status, text string
	}{
		{cloister.Errorf("AccessDenied", "the bucket refuses"), "FAILED", "Access error: the bucket refuses"},
		{cloister.Errorf("SlowDown", "later"), "FAILED", "Unknown error: later"},
		{errors.New("secret detail"), "FAILED", "Unknown error"},
		{nil, "SUCCESS", ""},
	} {
		if err := r.Delivered(r.ctx, region, ofInterface[0], step.err); err != nil {
			t.Fatal(err)
		}
		shown := ok[*ec2.DescribeFlowLogsOutput](t)(r.DescribeFlowLogs(r.ctx, &ec2.DescribeFlowLogsInput{FlowLogIds: ofInterface})).FlowLogs[0]
		if *shown.DeliverLogsStatus != step.status || aws.ToString(shown.DeliverLogsErrorMessage) != step.text {
			t.Errorf("after %v: %s, %q", step.err, *shown.DeliverLogsStatus, aws.ToString(shown.DeliverLogsErrorMessage))
		}
	}
	if err := r.Delivered(r.ctx, region, "fl-gone", nil); err != nil {
		t.Errorf("a delivery of a flow log that is gone: %v", err)
	}
	shown := ok[*ec2.DescribeFlowLogsOutput](t)(r.DescribeFlowLogs(r.ctx, &ec2.DescribeFlowLogsInput{FlowLogIds: ofVPC.FlowLogIds})).FlowLogs[0]
	const v2 = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
	if *shown.LogFormat != v2 || *shown.FlowLogStatus != "ACTIVE" || *shown.MaxAggregationInterval != 600 || *shown.LogDestination != "arn:aws:s3:::logs" {
		t.Errorf("described as %+v", shown)
	}
	deleted := ok[*ec2.DeleteFlowLogsOutput](t)(r.DeleteFlowLogs(r.ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{ofSubnets[0], "fl-1"}}))
	if len(deleted.Unsuccessful) != 1 || *deleted.Unsuccessful[0].Error.Code != "InvalidFlowLogId.NotFound" {
		t.Errorf("deleting one of two: %+v", deleted)
	}
	if err := r.Detach(r.ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if logs, err := r.FlowLogsOf(r.ctx, a.Interface); err != nil || len(logs) != 0 {
		t.Errorf("flow logs of an interface that is gone: %v, %v", logs, err)
	}
	ok[*ec2.DeleteSubnetOutput](t)(r.DeleteSubnet(r.ctx, &ec2.DeleteSubnetInput{SubnetId: &other}))
	if left := ok[*ec2.DescribeFlowLogsOutput](t)(r.DescribeFlowLogs(r.ctx, &ec2.DescribeFlowLogsInput{})).FlowLogs; len(left) != 1 {
		t.Errorf("left %v, want the VPC's", left)
	}
}

// TestClientTokens wants a request that is made again to answer as the first time, and another one with its token refused.
func TestClientTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	token := aws.String("token")
	private := r.newSubnet(s.vpc, "10.20.2.0/24")
	for name, call := range map[string]func(change bool) (string, error){
		"CreateRouteTable": func(change bool) (string, error) {
			in := &ec2.CreateRouteTableInput{VpcId: &s.vpc, ClientToken: token}
			if change {
				in.TagSpecifications = tagSpec("route-table", "a", "b")
			}
			out, err := r.CreateRouteTable(r.ctx, in)
			if err != nil {
				return "", err
			}
			return *out.RouteTable.RouteTableId, nil
		},
		"CreateVpcEndpoint": func(change bool) (string, error) {
			in := &ec2.CreateVpcEndpointInput{VpcId: &s.vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), ClientToken: token}
			if change {
				in.RouteTableIds = []string{s.table}
			}
			out, err := r.CreateVpcEndpoint(r.ctx, in)
			if err != nil {
				return "", err
			}
			return *out.VpcEndpoint.VpcEndpointId, nil
		},
		"CreateNatGateway": func(change bool) (string, error) {
			in := &ec2.CreateNatGatewayInput{SubnetId: &s.subnet, ConnectivityType: "private", ClientToken: token}
			if change {
				in.SubnetId = &private
			}
			out, err := r.CreateNatGateway(r.ctx, in)
			if err != nil {
				return "", err
			}
			return *out.NatGateway.NatGatewayId, nil
		},
		"CreateFlowLogs": func(change bool) (string, error) {
			in := &ec2.CreateFlowLogsInput{ResourceType: "VPC", ResourceIds: []string{s.vpc}, LogDestinationType: "s3", LogDestination: aws.String("arn:aws:s3:::logs"), TrafficType: "ALL", ClientToken: token}
			if change {
				in.TrafficType = "REJECT"
			}
			out, err := r.CreateFlowLogs(r.ctx, in)
			if err != nil {
				return "", err
			}
			return out.FlowLogIds[0], nil
		},
	} {
		first, err1 := call(false)
		second, err2 := call(false)
		if err1 != nil || err2 != nil || first != second {
			t.Errorf("%s twice: %s, %v and %s, %v", name, first, err1, second, err2)
		}
		_, err := call(true)
		wantCode(t, name+" with other parameters", err, "IdempotentParameterMismatch", "token")
	}
}

// TestEndpointPolicies takes those that allow everything, in any of their spellings, and no other.
func TestEndpointPolicies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.newVPC("10.20.0.0/16")
	for policy, full := range map[string]bool{
		``: true,
		`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`:                                        true,
		`{"Version":"2012-10-17","Id":"x","Statement":{"Sid":"x","Effect":"Allow","Principal":{"AWS":["*"]},"Action":["*"],"Resource":["*"]}}`:         true,
		`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`:                                                                false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}`:                                                            false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{}}]}`:                                                false,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*"}]}`:                                            false,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*","Service":"x"},"Action":"*","Resource":"*"}]}`:                                         false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","NotAction":"*","Resource":"*"}]}`:                                                            false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*"}]}`:                                                                              false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`: false,
		`{"Statement":[]}`: false, `{}`: false, `[]`: false, `{"Statement":1}`: false, `nonsense`: false,
	} {
		out, err := r.CreateVpcEndpoint(r.ctx, &ec2.CreateVpcEndpointInput{VpcId: &v, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), PolicyDocument: &policy})
		if !full {
			wantCode(t, policy, err, "UnsupportedOperation", "PolicyDocument")
			continue
		}
		if err != nil || policy != "" && *out.VpcEndpoint.PolicyDocument != policy {
			t.Errorf("%s: %v", policy, err)
		}
	}
	id := r.newEndpoint(v)
	_, err := r.ModifyVpcEndpoint(r.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, PolicyDocument: aws.String("{}")})
	wantCode(t, "a policy later", err, "UnsupportedOperation", "PolicyDocument")
	ok[*ec2.ModifyVpcEndpointOutput](t)(r.ModifyVpcEndpoint(r.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, ResetPolicy: aws.Bool(true)}))
}

package vpc_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
	"example.com/cloister/internal/wire"
)

// serve serves EC2's operations over HTTP, for the account's root, without looking at signatures.
func (r *rig) serve() string {
	r.t.Helper()
	service, err := wire.NewService("ec2", 0, operations(r.Service)...)
	if err != nil {
		r.t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		call := cloister.Call{RequestID: "r", Principal: cloister.RootPrincipal(account), Region: region}
		service.ServeHTTP(w, q.WithContext(cloister.WithCall(q.Context(), call)))
	}))
	r.t.Cleanup(server.Close)
	return server.URL
}

// TestAWSCLI makes a network with the stock client, as its documentation says.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("aws")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("aws is missing, and CI=true wants it")
		}
		t.Skip("aws is not installed")
	}
	r := newRig(t)
	url := r.serve()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, append([]string{"ec2", "--output", "text"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=secret", "AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE="+os.DevNull,
			"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return strings.TrimSpace(string(out)) + " (" + err.Error() + ")"
		}
		return strings.TrimSpace(string(out))
	}
	v := run("create-vpc", "--cidr-block", "10.0.0.0/16", "--tag-specifications", "ResourceType=vpc,Tags=[{Key=Name,Value=net}]", "--query", "Vpc.VpcId")
	subnet := run("create-subnet", "--vpc-id", v, "--cidr-block", "10.0.1.0/24", "--availability-zone", "us-east-1b", "--query", "Subnet.SubnetId")
	group := run("create-security-group", "--group-name", "job", "--description", "jobs", "--vpc-id", v, "--query", "GroupId")
	table := run("describe-route-tables", "--filters", "Name=vpc-id,Values="+v, "Name=association.main,Values=true", "--query", "RouteTables[0].RouteTableId")
	endpoint := run("create-vpc-endpoint", "--vpc-id", v, "--service-name", "com.amazonaws.us-east-1.s3", "--route-table-ids", table, "--query", "VpcEndpoint.VpcEndpointId")
	list := run("describe-managed-prefix-lists", "--filters", "Name=prefix-list-name,Values=com.amazonaws.us-east-1.s3", "--query", "PrefixLists[0].PrefixListId")
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"10.0.0.0/16", []string{"describe-vpcs", "--filters", "Name=tag:Name,Values=net", "--query", "Vpcs[0].CidrBlock"}},
		{"251\tuse1-az2", []string{"describe-subnets", "--subnet-ids", subnet, "--query", "Subnets[0].[AvailableIpAddressCount,AvailabilityZoneId]"}},
		{"True", []string{"authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "22", "--cidr", "10.0.0.0/8", "--query", "Return"}},
		{"True", []string{"authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "80-90", "--source-group", group, "--query", "Return"}},
		{"True", []string{"revoke-security-group-egress", "--group-id", group, "--ip-permissions", `[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]`, "--query", "Return"}},
		{"True", []string{"authorize-security-group-egress", "--group-id", group, "--ip-permissions", "IpProtocol=tcp,FromPort=443,ToPort=443,PrefixListIds=[{PrefixListId=" + list + "}]", "--query", "Return"}},
		{list, []string{"describe-security-groups", "--group-ids", group, "--query", "SecurityGroups[0].IpPermissionsEgress[0].PrefixListIds[0].PrefixListId"}},
		{"198.18.0.0/28", []string{"get-managed-prefix-list-entries", "--prefix-list-id", list, "--query", "Entries[0].Cidr"}},
		{"3", []string{"describe-security-group-rules", "--filters", "Name=group-id,Values=" + group, "--query", "length(SecurityGroupRules)"}},
		{endpoint, []string{"describe-route-tables", "--route-table-ids", table, "--query", "RouteTables[0].Routes[1].GatewayId"}},
		{"fl-", []string{"create-flow-logs", "--resource-type", "VPC", "--resource-ids", v, "--traffic-type", "ALL", "--log-destination-type", "s3", "--log-destination", "arn:aws:s3:::logs", "--max-aggregation-interval", "60", "--query", "FlowLogIds[0]"}},
		{"us-east-1a\tus-east-1b\tus-east-1c", []string{"describe-availability-zones", "--query", "AvailabilityZones[].ZoneName"}},
		{"(DryRunOperation)", []string{"create-vpc", "--cidr-block", "10.1.0.0/16", "--dry-run"}},
		{"(UnsupportedOperation)", []string{"create-vpc", "--cidr-block", "10.1.0.0/16", "--amazon-provided-ipv6-cidr-block"}},
		{"(DependencyViolation)", []string{"delete-vpc", "--vpc-id", v}},
		{"(InvalidGroup.NotFound)", []string{"describe-security-groups", "--group-ids", "sg-1"}},
		{"True", []string{"modify-vpc-endpoint", "--vpc-endpoint-id", endpoint, "--remove-route-table-ids", table, "--query", "Return"}},
		{"", []string{"delete-vpc-endpoints", "--vpc-endpoint-ids", endpoint, "--query", "Unsuccessful"}},
		{"", []string{"delete-subnet", "--subnet-id", subnet}},
		{group, []string{"delete-security-group", "--group-id", group, "--query", "GroupId"}},
		{"", []string{"delete-vpc", "--vpc-id", v}},
		{"0", []string{"describe-vpcs", "--query", "length(Vpcs)"}},
	} {
		if got := run(tt.args...); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("aws ec2 %s: %q, want %q", strings.Join(tt.args, " "), got, tt.want)
		}
	}
}

// TestGoSDK has a denied call as clients see it, and pages.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := ec2.NewFromConfig(aws.Config{Region: string(region), BaseEndpoint: aws.String(r.serve()), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret", "")})
	v, err := c.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: tagSpec("vpc", "Name", "net")})
	if err != nil || len(v.Vpc.Tags) != 1 || v.Vpc.State != types.VpcStatePending {
		t.Fatalf("CreateVpc = %+v, %v", v, err)
	}
	for i := range 7 {
		cidr := "10.0." + string(rune('0'+i)) + ".0/24"
		if _, err := c.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: v.Vpc.VpcId, CidrBlock: &cidr}); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for p := ec2.NewDescribeSubnetsPaginator(c, &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(5)}); p.HasMorePages(); {
		page, err := p.NextPage(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Subnets)
	}
	if seen != 7 {
		t.Errorf("%d subnets in pages, want 7", seen)
	}
	r.gate.refuse = []string{"ec2:DescribeVpcs"}
	if _, err := c.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{}); cloister.Code(err) != "UnauthorizedOperation" {
		t.Errorf("a denied call: %v, want UnauthorizedOperation", err)
	}
}

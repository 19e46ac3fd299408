//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"
)

func networkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "network",
		Short: "Make a VPC for jobs, in one go",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageErrorf("choose a command: %s --help", c.CommandPath())
		},
	}
	c.AddCommand(networkCreateCommand())
	return c
}

// madeNetwork is what create made, by AWS's ids.
type madeNetwork struct {
	VPC           string   `json:"vpc"`
	Subnets       []string `json:"subnets"`
	SecurityGroup string   `json:"securityGroup"`
	RouteTable    string   `json:"routeTable"`
	Endpoint      string   `json:"endpoint"`
	FlowLog       string   `json:"flowLog"`
	FlowLogBucket string   `json:"flowLogBucket"`
	// VPCConfig is what create-model-customization-job takes.
	VPCConfig string `json:"vpcConfig"`
}

func networkCreateCommand() *cobra.Command {
	var flags configFlags
	var asJSON bool
	n := networkMaker{}
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a VPC with two private subnets, a security group, an S3 endpoint and flow logs",
		Long: `Make a VPC with a private subnet in each of two zones, a security group that lets jobs speak to S3 and to nothing
else, an S3 gateway endpoint and flow logs, and print the --vpc-config for create-model-customization-job.

It makes calls that 'aws ec2' could make; what it made is removed again if one of them fails.`,
		Example: "  cloister network create\n  cloister network create --name training --cidr 10.30.0.0/16 --flow-log-bucket my-flow-logs",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if n.cidr, err = netip.ParsePrefix(n.cidrText); err != nil || !n.cidr.Addr().Is4() || n.cidr.Bits() < 16 || n.cidr.Bits() > 26 || n.cidr != n.cidr.Masked() {
				return usageErrorf("--cidr %s: write an IPv4 range from /16 to /26 such as 10.20.0.0/16", n.cidrText)
			}
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			n.config, n.say = cl.config, c.ErrOrStderr()
			made, err := n.make(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), made)
			}
			return printNetwork(c.OutOrStdout(), made)
		},
	}
	flags.register(c)
	c.Flags().StringVar(&n.name, "name", "cloister", "Name tag of what is made")
	c.Flags().StringVar(&n.cidrText, "cidr", "10.20.0.0/16", "range of the VPC; each subnet gets a quarter of it, at most a /24")
	c.Flags().StringVar(&n.bucket, "flow-log-bucket", "", "bucket for flow logs (default cloister-flow-logs-ACCOUNT-REGION; made if it is missing)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printNetwork(w io.Writer, n madeNetwork) error {
	_, err := fmt.Fprintf(w, `vpc             %s
subnets         %s
security group  %s
S3 endpoint     %s in %s
flow logs       %s to s3://%s

For aws bedrock create-model-customization-job:

  --vpc-config '%s'
`, n.VPC, strings.Join(n.Subnets, " "), n.SecurityGroup, n.Endpoint, n.RouteTable, n.FlowLog, n.FlowLogBucket, n.VPCConfig)
	return err
}

// networkMaker makes one network.
type networkMaker struct {
	name, cidrText, bucket string
	cidr                   netip.Prefix
	config                 aws.Config
	say                    io.Writer

	ec2  *ec2.Client
	undo []func(context.Context) error
	made madeNetwork
}

// make makes everything, or nothing.
func (n *networkMaker) make(ctx context.Context) (_ madeNetwork, err error) {
	n.ec2 = ec2.NewFromConfig(n.config)
	defer func() {
		if err == nil || len(n.undo) == 0 {
			return
		}
		_, _ = fmt.Fprintln(n.say, "removing what was made")
		for _, undo := range slices.Backward(n.undo) {
			err = errors.Join(err, undo(context.WithoutCancel(ctx)))
		}
	}()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"bucket for flow logs", n.makeBucket},
		{"VPC", n.makeVPC},
		{"subnets", n.makeSubnets},
		{"S3 endpoint", n.makeEndpoint},
		{"security group", n.makeGroup},
		{"flow logs", n.makeFlowLogs},
	} {
		if err := step.do(ctx); err != nil {
			return madeNetwork{}, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	n.made.VPCConfig = fmt.Sprintf(`subnetIds="%s",securityGroupIds="%s"`, strings.Join(n.made.Subnets, `","`), n.made.SecurityGroup)
	return n.made, nil
}

func (n *networkMaker) tags(kind types.ResourceType, suffix string) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String(n.name + suffix)}}}}
}

func (n *networkMaker) makeBucket(ctx context.Context) error {
	who, err := sts.NewFromConfig(n.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return err
	}
	n.made.FlowLogBucket = n.bucket
	if n.bucket == "" {
		n.made.FlowLogBucket = "cloister-flow-logs-" + aws.ToString(who.Account) + "-" + n.config.Region
	}
	client := s3.NewFromConfig(n.config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &n.made.FlowLogBucket}); err == nil {
		return nil
	}
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &n.made.FlowLogBucket}); err != nil {
		return err
	}
	n.undo = append(n.undo, func(ctx context.Context) error {
		_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &n.made.FlowLogBucket})
		return err
	})
	return nil
}

func (n *networkMaker) makeVPC(ctx context.Context) error {
	have, err := n.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{{Name: aws.String("tag:Name"), Values: []string{n.name}}}})
	if err != nil {
		return err
	}
	if len(have.Vpcs) > 0 {
		return usageErrorf("%s has the name %s already: give another one with --name", aws.ToString(have.Vpcs[0].VpcId), n.name)
	}
	out, err := n.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String(n.cidr.String()), TagSpecifications: n.tags(types.ResourceTypeVpc, "")})
	if err != nil {
		return err
	}
	n.made.VPC = aws.ToString(out.Vpc.VpcId)
	n.undo = append(n.undo, func(ctx context.Context) error {
		_, err := n.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &n.made.VPC})
		return err
	})
	tables, err := n.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{
		{Name: aws.String("vpc-id"), Values: []string{n.made.VPC}}, {Name: aws.String("association.main"), Values: []string{"true"}},
	}})
	if err != nil {
		return err
	}
	if len(tables.RouteTables) != 1 {
		return fmt.Errorf("%s has %d main route tables", n.made.VPC, len(tables.RouteTables))
	}
	n.made.RouteTable = aws.ToString(tables.RouteTables[0].RouteTableId)
	return nil
}

// makeSubnets makes one in each of the region's first two zones.
func (n *networkMaker) makeSubnets(ctx context.Context) error {
	zones, err := n.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return err
	}
	if len(zones.AvailabilityZones) < 2 {
		return errors.New("the region has fewer than two availability zones")
	}
	bits := min(max(n.cidr.Bits()+2, 24), 28)
	at := n.cidr.Addr().As4()
	for i := range 2 {
		start := uint32(at[0])<<24 | uint32(at[1])<<16 | uint32(at[2])<<8 | uint32(at[3])
		start += uint32(i) << (32 - bits)
		addr := netip.AddrFrom4([4]byte{byte(start >> 24), byte(start >> 16), byte(start >> 8), byte(start)}) //nolint:gosec // the bytes of an address
		out, err := n.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &n.made.VPC, CidrBlock: aws.String(netip.PrefixFrom(addr, bits).String()), AvailabilityZone: zones.AvailabilityZones[i].ZoneName,
			TagSpecifications: n.tags(types.ResourceTypeSubnet, "-private-"+aws.ToString(zones.AvailabilityZones[i].ZoneName)),
		})
		if err != nil {
			return err
		}
		id := aws.ToString(out.Subnet.SubnetId)
		n.made.Subnets = append(n.made.Subnets, id)
		n.undo = append(n.undo, func(ctx context.Context) error {
			_, err := n.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &id})
			return err
		})
	}
	return nil
}

func (n *networkMaker) makeEndpoint(ctx context.Context) error {
	out, err := n.ec2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
		VpcId: &n.made.VPC, ServiceName: aws.String("com.amazonaws." + n.config.Region + ".s3"), VpcEndpointType: types.VpcEndpointTypeGateway,
		RouteTableIds: []string{n.made.RouteTable}, TagSpecifications: n.tags(types.ResourceTypeVpcEndpoint, "-s3"),
	})
	if err != nil {
		return err
	}
	n.made.Endpoint = aws.ToString(out.VpcEndpoint.VpcEndpointId)
	n.undo = append(n.undo, func(ctx context.Context) error {
		_, err := n.ec2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{n.made.Endpoint}})
		return err
	})
	return nil
}

// makeGroup makes a group whose only rule lets jobs speak to S3.
func (n *networkMaker) makeGroup(ctx context.Context) error {
	out, err := n.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		VpcId: &n.made.VPC, GroupName: aws.String(n.name + "-jobs"), Description: aws.String("customization jobs: S3 and nothing else"),
		TagSpecifications: n.tags(types.ResourceTypeSecurityGroup, "-jobs"),
	})
	if err != nil {
		return err
	}
	n.made.SecurityGroup = aws.ToString(out.GroupId)
	n.undo = append(n.undo, func(ctx context.Context) error {
		_, err := n.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &n.made.SecurityGroup})
		return err
	})
	lists, err := n.ec2.DescribePrefixLists(ctx, &ec2.DescribePrefixListsInput{Filters: []types.Filter{
		{Name: aws.String("prefix-list-name"), Values: []string{"com.amazonaws." + n.config.Region + ".s3"}},
	}})
	if err != nil {
		return err
	}
	if len(lists.PrefixLists) != 1 {
		return errors.New("the region has no prefix list of S3")
	}
	everything := []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}
	if _, err := n.ec2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &n.made.SecurityGroup, IpPermissions: everything}); err != nil {
		return err
	}
	_, err = n.ec2.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &n.made.SecurityGroup, IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443),
		PrefixListIds: []types.PrefixListId{{PrefixListId: lists.PrefixLists[0].PrefixListId, Description: aws.String("S3 through the gateway endpoint")}},
	}}})
	return err
}

func (n *networkMaker) makeFlowLogs(ctx context.Context) error {
	out, err := n.ec2.CreateFlowLogs(ctx, &ec2.CreateFlowLogsInput{
		ResourceType: types.FlowLogsResourceTypeVpc, ResourceIds: []string{n.made.VPC}, TrafficType: types.TrafficTypeAll, MaxAggregationInterval: aws.Int32(60),
		LogDestinationType: types.LogDestinationTypeS3, LogDestination: aws.String("arn:aws:s3:::" + n.made.FlowLogBucket),
		TagSpecifications: n.tags(types.ResourceTypeVpcFlowLog, ""),
	})
	if err != nil {
		return err
	}
	if len(out.Unsuccessful) > 0 && out.Unsuccessful[0].Error != nil {
		return errors.New(aws.ToString(out.Unsuccessful[0].Error.Message))
	}
	n.made.FlowLog = out.FlowLogIds[0]
	return nil
}

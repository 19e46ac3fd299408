package vpc_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister/internal/vpc"
)

// BenchmarkAttach attaches and detaches one job beside 100 attached ones, with a data plane that does nothing: the part of an
// attachment that is neither network nor canary. BenchmarkAttach/…/read is what reading the network takes of it.
func BenchmarkAttach(b *testing.B) {
	for _, rules := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%drules", rules), func(b *testing.B) {
			r := openRig(b)
			must := func(err error) {
				b.Helper()
				if err != nil {
					b.Fatal(err)
				}
			}
			v, err := r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
			must(err)
			subnet, err := r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: v.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/18")})
			must(err)
			group, err := r.CreateSecurityGroup(r.ctx, &ec2.CreateSecurityGroupInput{VpcId: v.Vpc.VpcId, GroupName: aws.String("g"), Description: aws.String("d")})
			must(err)
			var ranges []types.IpRange
			for i := range rules {
				ranges = append(ranges, types.IpRange{CidrIp: aws.String(fmt.Sprintf("10.1.%d.%d/32", i>>8, i&255))})
			}
			_, err = r.AuthorizeSecurityGroupIngress(r.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: ranges}}})
			must(err)
			tables, err := r.DescribeRouteTables(r.ctx, &ec2.DescribeRouteTablesInput{})
			must(err)
			_, err = r.CreateVpcEndpoint(r.ctx, &ec2.CreateVpcEndpointInput{VpcId: v.Vpc.VpcId, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), RouteTableIds: []string{*tables.RouteTables[0].RouteTableId}})
			must(err)
			job := vpc.JobNetwork{Account: account, Region: region, Subnets: []string{*subnet.Subnet.SubnetId}, Groups: []string{*group.GroupId}}
			for i := range 100 {
				job.JobID = fmt.Sprint(i)
				_, err := r.Attach(r.ctx, job)
				must(err)
			}
			job.JobID = "x"
			b.Run("job", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err := r.Attach(r.ctx, job)
					must(err)
					r.now = r.now.Add(1e12) // the end of the quarantine
					must(r.Detach(r.ctx, "x"))
				}
			})
			b.Run("read", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err := r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{})
					must(err)
				}
			})
		})
	}
}

package awsfake

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// What a flow log has if the request does not say.
// Source: EC2 API Reference, CreateFlowLogs; VPC User Guide, "Flow log records".
const (
	usualFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} " +
		"${start} ${end} ${action} ${log-status}"
	usualInterval = 600 // seconds
)

// madeFlowLogs is a request that was answered.
type madeFlowLogs struct {
	request ec2.CreateFlowLogsInput
	out     *ec2.CreateFlowLogsOutput
}

// createFlowLogsNeeds asks about each resource and about the flow logs to be. A role is passed on; delivery to S3
// needs the permission of CloudWatch Logs too.
// Sources: Service Authorization Reference, Amazon EC2; VPC User Guide, "Publish flow logs to Amazon S3".
func createFlowLogsNeeds(c *call, in *ec2.CreateFlowLogsInput) []need {
	const action = "ec2:CreateFlowLogs"
	logs := c.arn("ec2", "vpc-flow-log/*")
	needs := []need{{action, logs}}
	kind := map[types.FlowLogsResourceType]string{
		types.FlowLogsResourceTypeVpc: "vpc/", types.FlowLogsResourceTypeSubnet: "subnet/", types.FlowLogsResourceTypeNetworkInterface: "network-interface/",
	}[in.ResourceType]
	for _, id := range in.ResourceIds {
		needs = append(needs, need{action, c.arn("ec2", kind+id)})
	}
	if in.DeliverLogsPermissionArn != nil {
		needs = append(needs, need{"iam:PassRole", *in.DeliverLogsPermissionArn})
	}
	if in.LogDestinationType == types.LogDestinationTypeS3 {
		needs = append(needs, need{"logs:CreateLogDelivery", "*"})
	}
	if len(in.TagSpecifications) > 0 {
		needs = append(needs, need{"ec2:CreateTags", logs})
	}
	return needs
}

// createFlowLogs creates a flow log for each resource; what goes wrong with one is in the answer.
func createFlowLogs(c *call, in *ec2.CreateFlowLogsInput) (*ec2.CreateFlowLogsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	token := aws.ToString(in.ClientToken)
	if made := c.region.flowTokens[token]; made != nil {
		if !reflect.DeepEqual(made.request, *in) {
			return nil, cloister.Errorf("IdempotentParameterMismatch", "The client token %s was used before with other parameters.", token)
		}
		return made.out, nil
	}
	template, err := flowLog(in)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateFlowLogsOutput{ClientToken: in.ClientToken, FlowLogIds: []string{}, Unsuccessful: []types.UnsuccessfulItem{}}
	for _, id := range in.ResourceIds {
		f := template
		f.ResourceId, f.CreationTime = aws.String(id), c.now()
		if err := c.loggable(in.ResourceType, f); err != nil {
			out.Unsuccessful = append(out.Unsuccessful, unsuccessful(id, err))
			continue
		}
		c.s.flowLogs++
		f.FlowLogId = aws.String(fmt.Sprintf("fl-%017x", c.s.flowLogs))
		c.region.flowLogs.add(&f, *f.FlowLogId)
		out.FlowLogIds = append(out.FlowLogIds, *f.FlowLogId)
	}
	if token != "" {
		c.region.flowTokens[token] = &madeFlowLogs{*in, out}
	}
	return out, nil
}

// flowLog is what a request wants for all its resources.
func flowLog(in *ec2.CreateFlowLogsInput) (types.FlowLog, error) {
	f := types.FlowLog{
		FlowLogStatus: aws.String("ACTIVE"), DeliverLogsStatus: aws.String("SUCCESS"), TrafficType: in.TrafficType,
		LogDestinationType: cmp.Or(in.LogDestinationType, types.LogDestinationTypeCloudWatchLogs),
		LogDestination:     in.LogDestination, LogGroupName: in.LogGroupName, DeliverLogsPermissionArn: in.DeliverLogsPermissionArn,
		LogFormat:              aws.String(cmp.Or(aws.ToString(in.LogFormat), usualFormat)),
		MaxAggregationInterval: aws.Int32(cmp.Or(aws.ToInt32(in.MaxAggregationInterval), usualInterval)),
	}
	for _, spec := range in.TagSpecifications {
		f.Tags = append(f.Tags, spec.Tags...)
	}
	switch {
	case in.TrafficType == "":
		return f, cloister.Errorf("MissingParameter", "The request must contain the parameter TrafficType")
	case f.LogDestinationType == types.LogDestinationTypeS3 && in.LogDestination == nil:
		return f, cloister.Errorf("InvalidParameter", "LogDestination can't be empty")
	case f.LogDestinationType == types.LogDestinationTypeS3 && (in.LogGroupName != nil || in.DeliverLogsPermissionArn != nil):
		return f, cloister.Errorf("InvalidParameter", "LogGroupName and DeliverLogsPermissionArn are not for LogDestinationType s3")
	case f.LogDestinationType == types.LogDestinationTypeCloudWatchLogs && in.DeliverLogsPermissionArn == nil:
		return f, cloister.Errorf("InvalidParameter", "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs")
	case f.LogDestinationType == types.LogDestinationTypeCloudWatchLogs && (in.LogGroupName == nil) == (in.LogDestination == nil):
		return f, cloister.Errorf("InvalidParameter", "One of LogGroupName and LogDestination is needed if LogDestinationType is cloud-watch-logs")
	}
	return f, nil
}

// loggable refuses a resource or bucket that is not there, and a flow log that is there already. A log group that
// is not there is made when there is something to log.
func (c *call) loggable(kind types.FlowLogsResourceType, f types.FlowLog) error {
	id, there := *f.ResourceId, false
	code := "InvalidVpcId.NotFound"
	switch kind {
	case types.FlowLogsResourceTypeVpc:
		_, there = c.region.vpcs.find(id)
	case types.FlowLogsResourceTypeSubnet:
		code = "InvalidSubnetId.NotFound"
		_, there = c.region.subnets.find(id)
	case types.FlowLogsResourceTypeNetworkInterface:
		code = "InvalidNetworkInterfaceId.NotFound"
		_, there = c.region.networkInterfaces.find(id)
	default:
		return cloister.Errorf("InvalidParameter", "awsfake has no flow logs of %s", kind)
	}
	if !there {
		return cloister.Errorf(code, "The %s ID '%s' does not exist", strings.ToLower(string(kind)), id)
	}
	if f.LogDestinationType == types.LogDestinationTypeS3 {
		_, path, _ := strings.Cut(*f.LogDestination, ":::")
		if name, _, _ := strings.Cut(path, "/"); c.s.world.buckets[name] == nil {
			return cloister.Errorf("400", "LogDestination: %s does not exist", name)
		}
	}
	if slices.ContainsFunc(c.region.flowLogs.items, func(have *types.FlowLog) bool {
		return aws.ToString(have.ResourceId) == id && have.TrafficType == f.TrafficType &&
			aws.ToString(have.LogDestination) == aws.ToString(f.LogDestination) && aws.ToString(have.LogGroupName) == aws.ToString(f.LogGroupName)
	}) {
		return cloister.Errorf("FlowLogAlreadyExists", "Error. There is an existing Flow Log with the same configuration and log destination.")
	}
	return nil
}

// deleteFlowLogsNeeds asks about each flow log; the end of a delivery to S3 needs the permission of CloudWatch Logs
// too.
func deleteFlowLogsNeeds(c *call, in *ec2.DeleteFlowLogsInput) []need {
	var needs []need
	toS3 := false
	for _, id := range in.FlowLogIds {
		needs = append(needs, need{"ec2:DeleteFlowLogs", c.arn("ec2", "vpc-flow-log/"+id)})
		f, ok := c.region.flowLogs.find(id)
		toS3 = toS3 || (ok && f.LogDestinationType == types.LogDestinationTypeS3)
	}
	if toS3 {
		needs = append(needs, need{"logs:DeleteLogDelivery", "*"})
	}
	return needs
}

func deleteFlowLogs(c *call, in *ec2.DeleteFlowLogsInput) (*ec2.DeleteFlowLogsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	out := &ec2.DeleteFlowLogsOutput{Unsuccessful: []types.UnsuccessfulItem{}}
	d := flowLogs()
	for _, id := range in.FlowLogIds {
		f, ok := c.region.flowLogs.find(id)
		if !ok {
			out.Unsuccessful = append(out.Unsuccessful, unsuccessful(id, cloister.Errorf(d.notFound, d.text, id)))
			continue
		}
		drop(&c.region.flowLogs, f)
	}
	return out, nil
}

func unsuccessful(id string, err error) types.UnsuccessfulItem {
	return types.UnsuccessfulItem{ResourceId: aws.String(id), Error: &types.UnsuccessfulItemError{
		Code: aws.String(cloister.Code(err)), Message: aws.String(cloister.Message(err)),
	}}
}

func dryRun() error {
	return cloister.Errorf("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").WithStatus(http.StatusPreconditionFailed)
}

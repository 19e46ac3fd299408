package awsfake

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"example.com/cloister"
)

// usualSession is how long a session lasts if the request does not say, in seconds.
// Source: STS API Reference, AssumeRole.
const usualSession = 3600

func getCallerIdentity(c *call, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Account: aws.String(c.Account), Arn: aws.String(c.caller), UserId: aws.String(c.userID)}, nil
}

func roleARN(_ *call, in *sts.AssumeRoleInput) string { return aws.ToString(in.RoleArn) }

func assumeRole(c *call, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	arn := aws.ToString(in.RoleArn)
	refused := cloister.Errorf("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.caller, arn)
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[1] != c.s.world.partition || !strings.HasPrefix(parts[5], "role/") {
		return nil, cloister.Errorf("ValidationError", "%s is invalid", arn)
	}
	target := c.s.world.accounts[parts[4]]
	if target == nil {
		return nil, refused
	}
	name := *lastPart(in.RoleArn)
	r, ok := target.roles[name]
	if !ok || (r.externalID != "" && r.externalID != aws.ToString(in.ExternalId)) {
		return nil, refused
	}
	seconds := usualSession
	if in.DurationSeconds != nil {
		seconds = int(*in.DurationSeconds)
	}
	expires := c.s.options.Now().Add(time.Duration(seconds) * time.Second).UTC().Truncate(time.Second)
	sessionName := aws.ToString(in.RoleSessionName)
	userID := "AROAFAKE" + target.id + ":" + sessionName
	assumed := "arn:" + c.s.world.partition + ":sts::" + target.id + ":assumed-role/" + name + "/" + sessionName
	id := c.s.sessions.add(session{account: target.id, arn: assumed, userID: userID, expires: expires})
	return &sts.AssumeRoleOutput{
		AssumedRoleUser: &types.AssumedRoleUser{Arn: aws.String(assumed), AssumedRoleId: aws.String(userID)},
		Credentials: &types.Credentials{
			AccessKeyId: aws.String(id), SecretAccessKey: aws.String("secret"), SessionToken: aws.String("token"), Expiration: &expires,
		},
	}, nil
}

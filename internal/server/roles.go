package server

import (
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/iam"
)

// roles are the sessions that bedrock needs of iam.
type roles struct{ *iam.Service }

var _ bedrock.Roles = roles{}

// JobKeys implements bedrock.Roles.
func (r roles) JobKeys(session cloister.Principal, lifetime time.Duration) bedrock.SessionKeys {
	keys, end := r.Service.JobKeys(session, lifetime)
	return bedrock.SessionKeys{ID: keys.AccessKeyID, Secret: keys.Secret, Token: keys.SessionToken, End: end}
}

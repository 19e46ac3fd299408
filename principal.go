package cloister

// PrincipalKind says what sort of identity a Principal is.
type PrincipalKind string

// The kinds of principals. There are no anonymous calls: an unsigned request is refused at the edge.
const (
	KindRoot        PrincipalKind = "Root"        // the account itself
	KindUser        PrincipalKind = "User"        // an IAM user
	KindAssumedRole PrincipalKind = "AssumedRole" // a session of a role
	KindService     PrincipalKind = "Service"     // an AWS service, such as bedrock.amazonaws.com
)

// Principal is an authenticated identity.
type Principal struct {
	Kind    PrincipalKind
	Account AccountID
	// ARN is arn:aws:iam::ACCOUNT:root, …:user/NAME, arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION,
	// or the service's name for a service principal.
	ARN string
	// ID is the unique id: the account number, AIDA…, or AROA…:SESSION.
	ID string
	// RoleARN is the role behind an assumed-role session, else empty (aws:PrincipalArn).
	RoleARN string
	// JobARN is set for the sessions that Cloister itself opens for a customization job: such a session
	// acts for that job and for nothing else (aws:SourceArn).
	JobARN string
}

// RootPrincipal is the root of an account.
func RootPrincipal(account AccountID) Principal {
	return Principal{
		Kind: KindRoot, Account: account, ID: string(account),
		ARN: NewARN("iam", "", account, "root").String(),
	}
}

// ServicePrincipal is a service acting for itself within an account, such as bedrock.amazonaws.com
// using a grant.
func ServicePrincipal(service string, account AccountID) Principal {
	return Principal{Kind: KindService, Account: account, ARN: service, ID: service}
}

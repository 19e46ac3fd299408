package vpc

// FlowLog says which traffic is published where.
type FlowLog struct {
	base
	// Resource is a VPC's, a subnet's or an interface's id.
	Resource string
	VPC      string
}

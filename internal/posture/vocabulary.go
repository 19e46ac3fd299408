package posture

import "slices"

// Group is a group of rules: the middle part of their ids.
type Group struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Groups lists the groups in the order of a reader: from the job outwards.
func Groups() []Group {
	return []Group{
		{"JOB", "Customization jobs"},
		{"NET", "Networks of jobs"},
		{"KMS", "Keys"},
		{"S3", "Buckets"},
		{"ROL", "Service roles"},
		{"IDN", "People and pipelines"},
		{"MOD", "Custom models"},
		{"IMP", "Model imports"},
		{"LOG", "Records"},
		{"DAT", "Data protection"},
		{"LIF", "Life cycle"},
	}
}

// Framework is a set of controls that rules may support. A rule supports controls, it never makes anybody comply.
type Framework struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Frameworks lists the frameworks that rules may name, by id.
func Frameworks() []Framework {
	return []Framework{
		{"cis-aws-5.0", "CIS Amazon Web Services Foundations Benchmark v5.0.0"},
		{"cis-aws-7.0", "CIS Amazon Web Services Foundations Benchmark v7.0.0"},
		{"eu-ai-act", "EU Artificial Intelligence Act, Regulation (EU) 2024/1689"},
		{"gdpr", "General Data Protection Regulation, Regulation (EU) 2016/679"},
		{"hipaa", "HIPAA Security Rule, 45 CFR Part 164 Subpart C"},
		{"iso-27001-2022", "ISO/IEC 27001:2022, Annex A"},
		{"iso-42001-2023", "ISO/IEC 42001:2023, Annex A"},
		{"mitre-atlas", "MITRE ATLAS"},
		{"nist-800-53r5", "NIST SP 800-53 Revision 5"},
		{"nist-ai-rmf", "NIST AI Risk Management Framework 1.0"},
		{"owasp-llm-2025", "OWASP Top 10 for LLM Applications 2025"},
		{"pci-dss-4.0", "PCI DSS v4.0"},
		{"soc2", "SOC 2, Trust Services Criteria"},
	}
}

// Obligation is the wording of a severity, in the manner of the knowledge base that the first rule comes from; "" for
// what is no severity.
func (s Severity) Obligation() string {
	switch s {
	case Low:
		return "generally tolerable"
	case Medium:
		return "should be achieved"
	case High:
		return "not acceptable"
	case VeryHigh:
		return "act today"
	case Extreme:
		return "act immediately"
	default:
		return ""
	}
}

// Title is the severity as people write it, such as "Very High".
func (s Severity) Title() string {
	switch s {
	case Low:
		return "Low"
	case Medium:
		return "Medium"
	case High:
		return "High"
	case VeryHigh:
		return "Very High"
	case Extreme:
		return "Extreme"
	default:
		return string(s)
	}
}

// FixClass says in words what a class of fix means; "" for what is none.
func FixClass(class string) string {
	switch class {
	case "A0":
		return "reversible, no effect on running work"
	case "A1":
		return "reversible, but may break something"
	case "R":
		return "made anew, because what exists cannot be changed"
	case "D":
		return "destructive"
	case "M":
		return "by hand"
	default:
		return ""
	}
}

// pillars are the pillars that a rule may stand under.
func pillars() []string {
	return []string{"security", "cost", "reliability", "performance", "operational-excellence", "sustainability"}
}

// placeholders are the names that commands of rules may hold in braces. A finding fills those that it knows; the others
// are for the reader.
func placeholders() []string {
	return []string{
		"account", "base_model_arn", "base_model_id", "break_glass_role", "bucket", "builder_role", "cidr", "data_class",
		"endpoint_id", "first_subnet_id", "grant_id", "group_id", "group_ids", "interface_id", "job_arn", "job_name",
		"key_arn", "key_id", "log_bucket", "log_group", "model_arn", "model_name", "model_uri", "new_bucket", "new_job_arn",
		"new_job_name", "new_model_arn", "new_model_name", "old_model_arn", "output_uri", "owner", "partition", "prefix",
		"prefix_list_id", "purpose", "region", "review_ticket", "role_arn", "route_table_id", "route_table_ids",
		"second_subnet_id", "serving_arn", "source_model_arn", "subnet_id", "subnet_ids", "target_region", "trail_arn",
		"training_uri", "user_role", "vpc_id", "zone_id",
	}
}

func isGroup(id string) bool {
	return slices.ContainsFunc(Groups(), func(g Group) bool { return g.ID == id })
}

func isFramework(id string) bool {
	return slices.ContainsFunc(Frameworks(), func(f Framework) bool { return f.ID == id })
}

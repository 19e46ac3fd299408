package report

import (
	"bufio"
	"slices"
	"strings"
	"time"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// OCSF's numbers: class Compliance Finding of category Findings (schema.ocsf.io, 1.5.0).
const (
	ocsfVersion  = "1.5.0"
	ocsfCategory = 2
	ocsfClass    = 2003
)

// ocsf is an object of OCSF; encoding/json sorts its members. Empty members are left out by set.
type ocsf map[string]any

// set adds a string without characters that do not show, if it is not empty.
func (o ocsf) set(name, value string) {
	if value != "" {
		o[name] = ansi.Visible(value)
	}
}

func (o ocsf) list(name string, values []string) {
	if len(values) > 0 {
		o[name] = visibleAll(values)
	}
}

// moment adds a time in milliseconds since 1970.
func (o ocsf) moment(name string, t time.Time) {
	if !t.IsZero() {
		o[name] = t.UnixMilli()
	}
}

// writeOCSF writes one Compliance Finding (2003) a line, with the profile cloud. Lines are what Security Lake's converters,
// Splunk, OpenSearch Ingestion and other OCSF readers take; Security Lake itself stores Parquet, which they make of it.
func writeOCSF(w *bufio.Writer, r *posture.Report) error {
	rules := rulesByID(r)
	names := map[string]string{}
	for _, a := range r.Accounts {
		names[a.ID] = a.Name
	}
	s := &stream{w: w}
	for i := range r.Results {
		one := &r.Results[i]
		s.value(finding(r, one, rules[one.Rule], names[one.Account]))
		s.raw("\n")
	}
	return s.err
}

func finding(r *posture.Report, one *posture.Result, rule *posture.RuleReport, account string) ocsf {
	activity, activityName := ocsfActivity(one.Change)
	severity, severityName := ocsfSeverity(one)
	status, statusName := ocsfStatus(one)
	unmapped := ocsf{"status": string(one.Status), "severity": string(one.Severity), "ruleVersion": one.Version}
	unmapped.set("change", one.Change)
	unmapped.set("discriminator", one.Discriminator)
	unmapped.set("supersededBy", one.SupersededBy)
	unmapped.list("jobs", one.Jobs)
	unmapped.list("commands", one.Commands)
	event := ocsf{
		"activity_id": activity, "activity_name": activityName, "category_uid": ocsfCategory, "category_name": "Findings",
		"class_uid": ocsfClass, "class_name": "Compliance Finding", "type_uid": ocsfClass*100 + activity,
		"type_name": "Compliance Finding: " + activityName, "severity_id": severity, "severity": severityName,
		"status_id": status, "status": statusName, "time": r.Started.UnixMilli(), "metadata": ocsfMetadata(r, one),
		"cloud": ocsfCloud(one, account), "finding_info": ocsfInfo(r, one, rule), "compliance": ocsfCompliance(one, rule),
		"resources": []ocsf{ocsfResource(one)}, "unmapped": unmapped,
	}
	event.set("message", one.Message)
	if one.Mute != nil {
		event.set("comment", skipReason(one))
	}
	if rule != nil {
		event["remediation"] = ocsfRemediation(one, rule)
	}
	if evidence := ocsfEvidence(one); len(evidence) > 0 {
		event["evidences"] = evidence
	}
	return event
}

func ocsfMetadata(r *posture.Report, one *posture.Result) ocsf {
	product := ocsf{"name": "Cloister", "vendor_name": "Cloister", "feature": ocsf{"name": "audit"}}
	product.set("version", r.Tool.Version)
	m := ocsf{"version": ocsfVersion, "product": product, "profiles": []string{"cloud"}}
	m.set("event_code", one.Rule)
	return m
}

func ocsfCloud(one *posture.Result, name string) ocsf {
	account := ocsf{"type": "AWS Account", "type_id": 10}
	account["uid"] = ansi.Visible(one.Account)
	account.set("name", name)
	cloud := ocsf{"provider": "AWS", "account": account}
	cloud.set("region", one.Region)
	cloud.set("cloud_partition", one.Partition)
	return cloud
}

func ocsfInfo(r *posture.Report, one *posture.Result, rule *posture.RuleReport) ocsf {
	info := ocsf{"uid": ansi.Visible(one.ID)}
	info.set("desc", one.Message)
	info.moment("created_time", one.FirstSeen)
	info.moment("first_seen_time", one.FirstSeen)
	info.moment("modified_time", one.LastChanged)
	info.moment("last_seen_time", r.Started)
	analytic := ocsf{"uid": ansi.Visible(one.Rule), "type": "Rule", "type_id": 1}
	if rule != nil {
		info.set("title", rule.Title)
		analytic.set("name", rule.Title)
		if rule.Pillar != "" {
			info["types"] = []string{ansi.Visible(rule.Pillar)}
		}
	}
	info["analytic"] = analytic
	var sources []string
	for _, source := range one.Evidence {
		if !slices.Contains(sources, source.Operation) {
			sources = append(sources, source.Operation)
		}
	}
	info.list("data_sources", sources)
	return info
}

func ocsfCompliance(one *posture.Result, rule *posture.RuleReport) ocsf {
	id, name := ocsfVerdict(one.Status)
	c := ocsf{"control": ansi.Visible(one.Rule), "status_id": id, "status": name, "status_code": string(one.Status)}
	details := []string{one.Message}
	for _, u := range one.Unread {
		details = append(details, unreadLine(u))
	}
	c.list("status_details", details)
	if rule == nil {
		return c
	}
	c.set("desc", rule.Title)
	c.set("category", rule.Pillar)
	var standards []string
	for _, control := range controls(rule) {
		standard, _, _ := strings.Cut(control, "/")
		if !slices.Contains(standards, standard) {
			standards = append(standards, standard)
		}
	}
	c.list("standards", standards)
	c.list("requirements", controls(rule))
	return c
}

func ocsfResource(one *posture.Result) ocsf {
	resource := ocsf{"uid": ansi.Visible(one.Resource)}
	resource.set("name", one.Name)
	resource.set("type", one.Type)
	resource.set("region", one.Region)
	resource.set("cloud_partition", one.Partition)
	if len(one.Tags) > 0 {
		resource["tags"] = ocsfTags(one.Tags)
	}
	return resource
}

func ocsfRemediation(one *posture.Result, rule *posture.RuleReport) ocsf {
	fix := ocsf{"desc": strings.TrimPrefix(fixLine(rule.Fix)+"; ", "; ") + explain(one)}
	var references []string
	for _, ref := range rule.References {
		references = append(references, ref.URL)
	}
	fix.list("references", references)
	return fix
}

// What each finding has several of is typed: maps of maps cost twice the memory.
type (
	ocsfNamed struct {
		Name string `json:"name"`
	}
	ocsfUnique struct {
		UID string `json:"uid"`
	}
	ocsfPair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	ocsfCall struct {
		Operation string      `json:"operation"`
		Service   *ocsfNamed  `json:"service,omitempty"`
		Request   *ocsfUnique `json:"request,omitempty"`
	}
	ocsfProof struct {
		Name string        `json:"name,omitempty"`
		API  *ocsfCall     `json:"api,omitempty"`
		Data posture.Facts `json:"data,omitempty"`
	}
)

// ocsfEvidence is one object for each call, and one for the facts.
func ocsfEvidence(one *posture.Result) []ocsfProof {
	list := make([]ocsfProof, 0, len(one.Evidence)+1)
	for _, source := range one.Evidence {
		service, operation, ok := strings.Cut(source.Operation, ":")
		if !ok {
			service, operation = "", source.Operation
		}
		call := &ocsfCall{Operation: ansi.Visible(operation)}
		if service != "" {
			call.Service = &ocsfNamed{ansi.Visible(service)}
		}
		if source.RequestID != "" {
			call.Request = &ocsfUnique{ansi.Visible(source.RequestID)}
		}
		list = append(list, ocsfProof{Name: ansi.Visible(source.Resource), API: call})
	}
	if len(one.Facts) > 0 {
		list = append(list, ocsfProof{Name: "facts", Data: one.Facts})
	}
	return list
}

package remediate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// trails plans one change for each trail, whatever it is to record: PutEventSelectors replaces all of a trail's selectors.
func (p *planner) trails(ctx context.Context, found []posture.Result) error {
	byTrail := map[*posture.Trail][]posture.Result{}
	var order []*posture.Trail
	for i := range found {
		r := &found[i]
		trail, why := p.trail(r)
		if trail == nil {
			p.leave(r, "%s", why)
			continue
		}
		at := slices.IndexFunc(order, func(t *posture.Trail) bool { return t.ARN == trail.ARN })
		if at < 0 {
			order = append(order, trail)
			at = len(order) - 1
		}
		byTrail[order[at]] = append(byTrail[order[at]], *r)
	}
	for _, trail := range order {
		if err := p.changeTrail(ctx, trail, byTrail[trail]); err != nil {
			return err
		}
	}
	return nil
}

// trail is the account's trail to change: the one that was named, or the only one. Nothing is guessed.
func (p *planner) trail(r *posture.Result) (trail *posture.Trail, why string) {
	var all []*posture.Trail
	var names []string
	for _, region := range p.account(r.Account).Regions {
		for _, t := range region.Trails.Items {
			if slices.ContainsFunc(all, func(o *posture.Trail) bool { return o.ARN == t.ARN }) {
				continue
			}
			if p.Trail != "" && p.Trail != t.Name && p.Trail != t.ARN || !strings.Contains(t.ARN, ":"+r.Account+":") {
				continue
			}
			all, names = append(all, t), append(names, t.Name)
		}
	}
	slices.Sort(names)
	switch {
	case len(all) == 1:
		return all[0], ""
	case len(all) == 0 && p.Trail != "":
		return nil, "NoTrail: the account has no trail " + p.Trail
	case len(all) == 0:
		return nil, "NoTrail: the account has no trail of its own; a new one needs a bucket and its policy: see 'cloister audit explain MC-LOG-003'"
	}
	return nil, "the account has several trails (" + strings.Join(names, ", ") + "): name one with --trail"
}

func (p *planner) changeTrail(ctx context.Context, trail *posture.Trail, found []posture.Result) error {
	account := found[0].Account
	client := p.caller(account, trail.Home)
	flags := remedy.Condition{
		Text: "trail " + trail.Name, Call: "cloudtrail:DescribeTrails", Region: trail.Home, Parameters: parameters(map[string]any{"trailNameList": []any{trail.ARN}}),
		Query: "trailList[0].[IsMultiRegionTrail, IncludeGlobalServiceEvents, LogFileValidationEnabled]",
	}
	logging := remedy.Condition{
		Text: "whether trail " + trail.Name + " logs", Call: "cloudtrail:GetTrailStatus", Region: trail.Home, Parameters: parameters(map[string]any{"Name": trail.ARN}), Query: "IsLogging",
	}
	selectors := remedy.Condition{
		Text: "event selectors of trail " + trail.Name, Call: "cloudtrail:GetEventSelectors", Region: trail.Home, Parameters: parameters(map[string]any{"TrailName": trail.ARN}),
		Query: "{basic: EventSelectors || `[]`, advanced: AdvancedEventSelectors || `[]`}",
	}
	for _, c := range []*remedy.Condition{&flags, &logging, &selectors} {
		held, err := p.hold(ctx, client, *c)
		if err != nil {
			p.leaveAll(found, "%v", err)
			return nil
		}
		*c = held
	}
	management := slices.ContainsFunc(found, func(r posture.Result) bool { return r.Rule == "MC-LOG-003" })
	var buckets []string
	for i := range found {
		if found[i].Rule == "MC-LOG-004" {
			buckets = append(buckets, found[i].Name)
		}
	}
	wanted, err := merge(selectors.Expect, management, buckets, trail)
	if err != nil {
		p.leaveAll(found, "%v", err)
		return nil
	}
	if wanted.merged == nil && (!management || allTrue(flags.Expect) && logging.Expect == true) {
		p.leaveAll(found, "no call of a plan mends it: see 'cloister audit explain %s'", found[0].Rule)
		return nil
	}
	c := p.begin(&found[0], trail.Home, "let trail "+trail.Name+" record what the rules want")
	c.Resource, c.Name, c.Findings, c.Predicted = trail.ARN, trail.Name, findings(found), nil
	for i := range found {
		c.Predicted = append(c.Predicted, remedy.Prediction{Rule: found[i].Rule, Resource: found[i].Resource, Status: posture.Pass})
	}
	c.Hazards = append(c.Hazards, "data events are billed by the event, and a second trail that records management events is billed too")
	c.Lasting = append(c.Lasting, "what was recorded meanwhile stays in the trail's bucket")
	p.costs(c.Account, "CloudTrail bills data events, and management events of a second trail, by the event")
	if management {
		p.flags(c, trail, flags)
		p.logging(c, trail, logging)
	}
	if wanted.merged != nil {
		p.selectors(c, trail, selectors, wanted)
	}
	return nil
}

// allTrue says that a list has true alone.
func allTrue(v any) bool {
	list, _ := v.([]any)
	return len(list) > 0 && !slices.ContainsFunc(list, func(one any) bool { return one != true })
}

// selection is what a trail records and is to record, in one of CloudTrail's two forms.
type selection struct {
	member string // of PutEventSelectors
	before []any
	merged any    // nil if nothing is lacking
	holds  string // a query that says that the trail records it
}

// merge adds what is lacking to what a trail records: what it records stays. held is the trail's selectors, in which nothing
// is taken for a placeholder.
func merge(held any, management bool, buckets []string, trail *posture.Trail) (s selection, err error) {
	was, _ := held.(map[string]any)
	basic, _ := was["basic"].([]any)
	if advanced, _ := was["advanced"].([]any); len(advanced) > 0 {
		s = selection{member: "AdvancedEventSelectors", before: advanced, merged: mergeAdvanced(advanced, management && lacksManagement(trail), buckets, trail.ARN)}
		if s.merged != nil {
			s.holds = advancedHolds(len(advanced), s.merged)
		}
		return s, nil
	}
	s = selection{member: "EventSelectors", before: basic, holds: basicHolds(management, buckets)}
	s.merged, err = mergeBasic(basic, management, buckets, trail.ARN)
	return s, err
}

// flags makes the trail one of all regions, whose files are validated.
func (p *planner) flags(c *remedy.Change, trail *posture.Trail, held remedy.Condition) {
	was, _ := held.Expect.([]any)
	if len(was) != 3 || allTrue(was) {
		return
	}
	after := held
	after.Expect = []any{true, true, true}
	put := func(v []any) map[string]any {
		return map[string]any{"Name": trail.ARN, "IsMultiRegionTrail": v[0] == true, "IncludeGlobalServiceEvents": v[1] == true, "EnableLogFileValidation": v[2] == true}
	}
	p.simple(c, "make trail "+trail.Name+" one of all regions, with validated files", "cloudtrail:UpdateTrail", put([]any{true, true, true}), held, after, remedy.Undo{
		Text: "make trail " + trail.Name + " what it was", Call: "cloudtrail:UpdateTrail", Class: remedy.Reversible, Parameters: parameters(put(was)), When: &after,
	})
}

func (p *planner) logging(c *remedy.Change, trail *posture.Trail, held remedy.Condition) {
	if held.Expect == true {
		return
	}
	after := held
	after.Expect = true
	in := map[string]any{"Name": trail.ARN}
	p.simple(c, "start trail "+trail.Name, "cloudtrail:StartLogging", in, held, after, remedy.Undo{
		Text: "stop trail " + trail.Name + " again", Call: "cloudtrail:StopLogging", Class: remedy.Careful, Parameters: parameters(in), When: &after,
	})
}

// selectors writes what a trail is to record.
func (p *planner) selectors(c *remedy.Change, trail *posture.Trail, held remedy.Condition, wanted selection) {
	put := func(selectors any) json.RawMessage {
		return filled(map[string]any{"TrailName": trail.ARN, wanted.member: selectors})
	}
	after := held
	after.Query, after.Expect = wanted.holds, true
	// What the trail then selects: a rollback puts the old selectors back only in place of that.
	left := "to_string(" + selected + ")"
	after.Results = map[string]string{"left": left}
	id := p.step(c, phaseGround, remedy.Step{
		Kind: remedy.KindCall, Class: c.Class, Text: "let trail " + trail.Name + " record more", Call: "cloudtrail:PutEventSelectors", Region: trail.Home,
		Parameters: put(wanted.merged), Before: []remedy.Condition{held}, After: &after, Results: map[string]string{"left": left},
	})
	same := held
	same.Text, same.Query, same.Expect = "the event selectors of trail "+trail.Name, left, "${"+id+".left}"
	p.steps[len(p.steps)-1].step.Undo = []remedy.Undo{{
		Text: "let trail " + trail.Name + " record what it did before", Call: "cloudtrail:PutEventSelectors", Class: remedy.Reversible, Parameters: put(wanted.before),
		When: &same, Only: true,
	}}
}

// selected is a query for what selectors select, whichever of the forms that mean the same CloudTrail gives them back in.
const selected = "{basic: (EventSelectors || `[]`)[*].[ReadWriteType, IncludeManagementEvents, sort(ExcludeManagementEventSources || `[]`), " +
	"sort((DataResources || `[]`)[*].to_string([Type, sort(Values || `[]`)]))], " +
	"advanced: (AdvancedEventSelectors || `[]`)[*].[Name, sort((FieldSelectors || `[]`)[*].to_string([Field, sort(Equals || `[]`), sort(StartsWith || `[]`), " +
	"sort(EndsWith || `[]`), sort(NotEquals || `[]`), sort(NotStartsWith || `[]`), sort(NotEndsWith || `[]`)]))]}"

// advancedHolds says that the selectors that were added are there, besides as many as there were.
func advancedHolds(before int, merged any) string {
	list, _ := merged.([]any)
	parts := []string{fmt.Sprintf("length(AdvancedEventSelectors) == `%d`", len(list))}
	for _, one := range list[before:] {
		s, _ := one.(map[string]any)
		parts = append(parts, "contains(AdvancedEventSelectors[].Name, "+remedy.Quote(s["Name"])+")")
	}
	return strings.Join(parts, " && ")
}

func lacksManagement(trail *posture.Trail) bool {
	s, ok := trail.Selectors.Read()
	return !ok || !s.Reads.All() || !s.Writes.All()
}

// mostSelectors is how many basic selectors a trail has; mostResources how many data resources, in all of them.
// Source: CloudTrail User Guide, "Quotas in AWS CloudTrail".
const (
	mostSelectors = 5
	mostResources = 250
)

// mergeBasic adds what is lacking to basic selectors; nil if nothing is.
func mergeBasic(was []any, management bool, buckets []string, trail string) (any, error) {
	all := -1
	out := slices.Clone(was)
	for i, one := range out {
		s, _ := one.(map[string]any)
		excluded, _ := s["ExcludeManagementEventSources"].([]any)
		if s["ReadWriteType"] == "All" && s["IncludeManagementEvents"] == true && len(excluded) == 0 {
			all = i
		}
	}
	if all >= 0 && len(buckets) == 0 {
		return nil, nil //nolint:nilnil // nothing is lacking
	}
	if all < 0 {
		include := management || len(was) == 0
		out = append(out, map[string]any{"ReadWriteType": "All", "IncludeManagementEvents": include, "DataResources": []any{}, "ExcludeManagementEventSources": []any{}})
		all = len(out) - 1
	}
	if len(out) > mostSelectors {
		return nil, fmt.Errorf("it has %d event selectors, and may have %d: make room first", len(was), mostSelectors)
	}
	selector := map[string]any{}
	old, _ := out[all].(map[string]any)
	maps.Copy(selector, old)
	resources, _ := selector["DataResources"].([]any)
	resources = slices.Clone(resources)
	for _, bucket := range buckets {
		resources = append(resources, map[string]any{"Type": "AWS::S3::Object", "Values": []any{objectsOf(trail, bucket)}})
	}
	if len(resources) > mostResources {
		return nil, fmt.Errorf("it would have %d data resources, and may have %d", len(resources), mostResources)
	}
	selector["DataResources"] = resources
	out[all] = selector
	return out, nil
}

// objectsOf is what selects all objects of a bucket.
func objectsOf(trail, bucket string) string {
	partition := "aws"
	if parts := strings.SplitN(trail, ":", 3); len(parts) == 3 {
		partition = parts[1]
	}
	return "arn:" + partition + ":s3:::" + bucket + "/"
}

// basicHolds says that all management events are recorded, and all events of the objects of buckets.
func basicHolds(management bool, buckets []string) string {
	var parts []string
	if management {
		parts = append(parts, "length(EventSelectors[?ReadWriteType == 'All' && IncludeManagementEvents && length(ExcludeManagementEventSources || `[]`) == `0`]) > `0`")
	}
	for _, bucket := range buckets {
		parts = append(parts, "contains(EventSelectors[?ReadWriteType == 'All'].DataResources[].Values[].ends_with(@, "+remedy.Quote(":"+bucket+"/")+"), `true`)")
	}
	return strings.Join(parts, " && ")
}

// mergeAdvanced adds selectors; nil if nothing is lacking.
func mergeAdvanced(was []any, management bool, buckets []string, trail string) any {
	out := slices.Clone(was)
	if management {
		out = append(out, map[string]any{"Name": "cloister: management events", "FieldSelectors": []any{field("eventCategory", "Equals", "Management")}})
	}
	if len(buckets) > 0 {
		var prefixes []string
		for _, bucket := range buckets {
			prefixes = append(prefixes, objectsOf(trail, bucket))
		}
		out = append(out, map[string]any{"Name": "cloister: objects of customization", "FieldSelectors": []any{
			field("eventCategory", "Equals", "Data"), field("resources.type", "Equals", "AWS::S3::Object"), field("resources.ARN", "StartsWith", prefixes...),
		}})
	}
	if len(out) == len(was) {
		return nil
	}
	return out
}

func field(name, operator string, values ...string) map[string]any {
	return map[string]any{"Field": name, operator: texts(values)}
}

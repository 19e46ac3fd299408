package remediate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// What becomes of a member of CreateModelCustomizationJob when a job is made again.
const (
	copied  = "copied"
	changed = "changed"
)

// decided says of every member of CreateModelCustomizationJob what becomes of it, and from which member of
// GetModelCustomizationJob it comes; "" is none. A member that is not here fails a test: somebody must decide.
// Source: Amazon Bedrock API Reference, CreateModelCustomizationJob and GetModelCustomizationJob.
func decided() map[string][2]string {
	return map[string][2]string{
		"baseModelIdentifier":  {copied, "baseModelArn"},
		"clientRequestToken":   {changed, "clientRequestToken"},
		"customModelKmsKeyId":  {changed, "outputModelKmsKeyArn"},
		"customModelName":      {changed, "outputModelName"},
		"customModelTags":      {copied, ""}, // the model's own, by ListTagsForResource
		"customizationConfig":  {copied, "customizationConfig"},
		"customizationType":    {copied, "customizationType"},
		"hyperParameters":      {copied, "hyperParameters"},
		"jobName":              {changed, "jobName"},
		"jobTags":              {changed, ""}, // the job's own, by ListTagsForResource
		"outputDataConfig":     {copied, "outputDataConfig"},
		"roleArn":              {changed, "roleArn"},
		"trainingDataConfig":   {copied, "trainingDataConfig"},
		"validationDataConfig": {copied, "validationDataConfig"},
		"vpcConfig":            {changed, "vpcConfig"},
	}
}

// results are the members of GetModelCustomizationJob that say what came of a job; a new job has its own.
func results() []string {
	return []string{
		"creationTime", "endTime", "failureMessage", "jobArn", "lastModifiedTime", "outputModelArn", "status", "statusDetails", "trainingMetrics", "validationMetrics",
	}
}

// source is a job that is made again: its record and the tags of the job and of its model.
type source struct {
	record              map[string]any
	arn                 string
	jobTags, customTags map[string]string
	modelGone           bool
}

// target is what the new job gets instead of what the old one has.
type target struct {
	jobName, modelName string
	subnets, groups    []string // none: as the old job
	key                string   // "" is as the old job, which may be none
	role               string   // "" is as the old job
	vpc                string   // of the subnets, for people
	// jobTags and modelTags are those that rules require, for what the old ones lack.
	jobTags, modelTags map[string]string
}

// recreate gives the parameters of the new job, and the old beside the new. Nothing in the old job's members is taken for
// a placeholder.
func recreate(old source, to target) (create map[string]any, compared []remedy.Member, err error) {
	if kind := old.record["customizationType"]; kind == "IMPORTED" {
		return nil, nil, fmt.Errorf("a job of type %v cannot be made again", kind)
	}
	for name := range old.record {
		if !known(name) {
			return nil, nil, fmt.Errorf("the old job has %s, which this version does not know how to carry over", name)
		}
	}
	create = map[string]any{}
	for name, d := range decided() {
		if value, ok := old.record[d[1]]; ok && d[0] == copied {
			create[name] = remedy.Literal(value)
		}
	}
	why := map[string]string{}
	create["jobName"], why["jobName"] = to.jobName, "the names of jobs cannot be used again"
	create["customModelName"], why["customModelName"] = to.modelName, "the old model keeps its name"
	create["roleArn"] = remedy.Literal(old.record["roleArn"])
	if to.role != "" {
		create["roleArn"], why["roleArn"] = remedy.Literal(to.role), "--role"
	}
	if key, ok := old.record["outputModelKmsKeyArn"]; ok {
		create["customModelKmsKeyId"] = remedy.Literal(key)
	}
	if to.key != "" {
		create["customModelKmsKeyId"], why["customModelKmsKeyId"] = remedy.Literal(to.key), "the old job has no customer managed key"
	}
	if vpc, ok := old.record["vpcConfig"]; ok {
		create["vpcConfig"] = remedy.Literal(vpc)
	}
	if len(to.subnets) > 0 {
		create["vpcConfig"] = remedy.Literal(map[string]any{"subnetIds": texts(to.subnets), "securityGroupIds": texts(to.groups)})
		why["vpcConfig"] = cmp.Or(to.vpc, "the subnets that were asked for")
	}
	create["clientRequestToken"], why["clientRequestToken"] = "${token}", "made from the plan's hash and the step"
	jobTags := with(carried(old.jobTags), to.jobTags)
	jobTags[posture.TagSupersedes] = old.arn
	delete(jobTags, posture.TagSupersededBy)
	if len(jobTags) > mostTags {
		return nil, nil, fmt.Errorf("the old job has %d tags: there is no room for %s", len(old.jobTags), posture.TagSupersedes)
	}
	create["jobTags"], why["jobTags"] = tagList(jobTags), "names the job that it replaces"
	if modelTags := with(carried(old.customTags), to.modelTags); len(modelTags) > 0 {
		create["customModelTags"] = tagList(modelTags)
		if len(modelTags) > len(carried(old.customTags)) {
			why["customModelTags"] = "the required tags that the old model lacks"
		}
	}
	return create, compare(old, create, why), nil
}

// mostTags is how many tags a resource may have.
// Source: Amazon Bedrock API Reference, TooManyTagsException.
const mostTags = 50

func known(name string) bool {
	if slices.Contains(results(), name) {
		return true
	}
	for _, d := range decided() {
		if d[1] == name {
			return true
		}
	}
	return false
}

// carried are the tags that a user may set: AWS keeps those that begin with aws: for itself.
func carried(tags map[string]string) map[string]string {
	own := maps.Clone(tags)
	if own == nil {
		own = map[string]string{}
	}
	maps.DeleteFunc(own, func(key, _ string) bool { return strings.HasPrefix(strings.ToLower(key), "aws:") })
	return own
}

// with adds to tags those of more that they lack.
func with(tags, more map[string]string) map[string]string {
	for key, value := range more {
		if tags[key] == "" {
			tags[key] = value
		}
	}
	return tags
}

// tagList are tags as Bedrock takes them, by key.
func tagList(tags map[string]string) []any {
	list := []any{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, remedy.Literal(map[string]any{"key": key, "value": tags[key]}))
	}
	return list
}

func texts(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// compare puts the old job beside the new one, member by member.
func compare(old source, create map[string]any, why map[string]string) []remedy.Member {
	was := map[string]any{}
	for name, tags := range map[string]map[string]string{"jobTags": old.jobTags, "customModelTags": old.customTags} {
		if len(tags) > 0 {
			was[name] = tagList(tags)
		}
	}
	for name, d := range decided() {
		if value, ok := old.record[d[1]]; ok {
			was[name] = remedy.Literal(value)
		}
	}
	var members []remedy.Member
	for _, name := range slices.Sorted(maps.Keys(decided())) {
		if was[name] == nil && create[name] == nil {
			continue
		}
		members = append(members, remedy.Member{Name: name, Old: was[name], New: create[name], Why: why[name]})
	}
	return members
}

// longestName is how long the names of jobs and custom models may be.
// Source: Amazon Bedrock API Reference, CreateModelCustomizationJob: jobName, customModelName.
const longestName = 63

// newName is the n-th name after old: old with -rN, cut so that it fits, without a sign at the cut.
func newName(old string, n int) string {
	suffix := fmt.Sprintf("-r%d", n)
	return strings.TrimRight(old[:min(len(old), longestName-len(suffix))], "-_.") + suffix
}

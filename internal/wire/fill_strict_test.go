package wire

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/google/go-cmp/cmp"
)

func TestFill(t *testing.T) {
	t.Parallel()
	s := bindAll(t, "bedrock", nil)
	var out bedrock.GetModelCustomizationJobOutput
	err := s.Fill("GetModelCustomizationJobResponse", "jobs.0", map[string]any{
		"jobName": "a", "status": "Completed", "creationTime": "2026-11-25T12:00:00Z",
		"vpcConfig":           map[string]any{"subnetIds": []any{"subnet-1"}},
		"hyperParameters":     map[string]any{"epochCount": "2"},
		"trainingMetrics":     map[string]any{"trainingLoss": json.Number("1.5")},
		"customizationConfig": map[string]any{"rftConfig": map[string]any{}},
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	name, loss, at := "a", float32(1.5), time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	want := bedrock.GetModelCustomizationJobOutput{
		JobName: &name, Status: types.ModelCustomizationJobStatusCompleted, CreationTime: &at,
		VpcConfig: &types.VpcConfig{SubnetIds: []string{"subnet-1"}}, HyperParameters: map[string]string{"epochCount": "2"},
		TrainingMetrics:     &types.TrainingMetrics{TrainingLoss: &loss},
		CustomizationConfig: &types.CustomizationConfigMemberRftConfig{},
	}
	if diff := cmp.Diff(want, out, ignoreMetadata()); diff != "" {
		t.Errorf("Fill (-want +got):\n%s", diff)
	}
}

// TestFillRefuses wants every mistake of a hand-written tree to be an error that names its place.
func TestFillRefuses(t *testing.T) {
	t.Parallel()
	s := bindAll(t, "bedrock", nil)
	in := func(name string, v any) map[string]any { return map[string]any{name: v} }
	for want, tree := range map[string]map[string]any{
		"x.jobname: GetModelCustomizationJobResponse has no such member":     in("jobname", "a"),
		"x.jobName: is the number 1, not a string":                           in("jobName", json.Number("1")),
		"x.jobName: is null, not a string":                                   in("jobName", nil),
		"x.status: \"Done\" is not one of":                                   in("status", "Done"),
		"x.creationTime: is \"today\", not a timestamp":                      in("creationTime", "today"),
		"x.vpcConfig: is a list, not a structure":                            in("vpcConfig", []any{}),
		"x.vpcConfig.subnetIds: is \"a\", not a list":                        in("vpcConfig", in("subnetIds", "a")),
		"x.vpcConfig.subnetIds.1: is true, not a string":                     in("vpcConfig", in("subnetIds", []any{"a", true})),
		"x.hyperParameters: is a list, not a map":                            in("hyperParameters", []any{}),
		"x.hyperParameters.a: is a map, not a string":                        in("hyperParameters", in("a", map[string]any{})),
		"x.trainingMetrics.trainingLoss: is \"1\", not a float":              in("trainingMetrics", in("trainingLoss", "1")),
		"x.customizationConfig: is a union and needs exactly one member":     in("customizationConfig", map[string]any{}),
		"x.customizationConfig.other: CustomizationConfig has no such membe": in("customizationConfig", in("other", "a")),
	} {
		var out bedrock.GetModelCustomizationJobOutput
		if err := s.Fill("GetModelCustomizationJobResponse", "x", tree, &out); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Fill = %v, want %q", err, want)
		}
	}
	if err := s.Fill("Nothing", "x", nil, &struct{}{}); err == nil {
		t.Error("Fill of a shape that is not there succeeded")
	}
}

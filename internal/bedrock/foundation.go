package bedrock

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
)

// ListFoundationModels lists the installed base models, under their own ids and under every alias whose
// model is installed. It is not paginated, as in AWS.
func (s *Service) ListFoundationModels(ctx context.Context, in *awsbedrock.ListFoundationModelsInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.ListFoundationModelsOutput, error) {
	if err := s.authorize(ctx, "ListFoundationModels", "*"); err != nil {
		return nil, err
	}
	manifests, err := s.Bases.List()
	if err != nil {
		s.Log.WarnContext(ctx, "some base models cannot be read", slog.Any("error", err))
	}
	installed := map[string]basemodel.Manifest{}
	listed := map[string]basemodel.Manifest{}
	for _, m := range manifests {
		installed[m.ID], listed[m.ID] = m, m
	}
	for alias, target := range s.Aliases {
		if m, ok := installed[target]; ok {
			listed[s.fullForm(alias)] = m
		}
	}
	out := &awsbedrock.ListFoundationModelsOutput{ModelSummaries: []types.FoundationModelSummary{}}
	region := cloister.CallFrom(ctx).Region
	for _, id := range slices.Sorted(maps.Keys(listed)) {
		d := s.details(region, id, listed[id])
		switch {
		case in.ByProvider != nil && !strings.EqualFold(*in.ByProvider, *d.ProviderName):
		case in.ByCustomizationType != "" && !slices.Contains(d.CustomizationsSupported, in.ByCustomizationType):
		case in.ByOutputModality != "" && !slices.Contains(d.OutputModalities, in.ByOutputModality):
		case in.ByInferenceType != "" && !slices.Contains(d.InferenceTypesSupported, in.ByInferenceType):
		default:
			out.ModelSummaries = append(out.ModelSummaries, types.FoundationModelSummary{
				ModelArn: d.ModelArn, ModelId: d.ModelId, ModelName: d.ModelName, ProviderName: d.ProviderName,
				InputModalities: d.InputModalities, OutputModalities: d.OutputModalities, ResponseStreamingSupported: d.ResponseStreamingSupported,
				CustomizationsSupported: d.CustomizationsSupported, InferenceTypesSupported: d.InferenceTypesSupported, ModelLifecycle: d.ModelLifecycle,
			})
		}
	}
	return out, nil
}

// GetFoundationModel describes one base model by id, alias or ARN.
func (s *Service) GetFoundationModel(ctx context.Context, in *awsbedrock.GetFoundationModelInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.GetFoundationModelOutput, error) {
	region := cloister.CallFrom(ctx).Region
	identifier := aws.ToString(in.ModelIdentifier)
	if err := s.authorize(ctx, "GetFoundationModel", s.askedARN(region, identifier)); err != nil {
		return nil, err
	}
	found, err := s.resolveBase(region, identifier)
	if errors.Is(err, errNoBase) || cloister.Code(err) == "ValidationException" {
		return nil, cloister.Errorf("ResourceNotFoundException", "Could not resolve the foundation model from the provided model identifier: %s (see 'cloister models list')", identifier)
	}
	if err != nil {
		return nil, err
	}
	return &awsbedrock.GetFoundationModelOutput{ModelDetails: s.details(region, found.asked, found.manifest)}, nil
}

// details describes an installed base model under an id. Nothing serves inference yet, so no inference
// type is claimed.
func (s *Service) details(region cloister.Region, id string, m basemodel.Manifest) *types.FoundationModelDetails {
	d := &types.FoundationModelDetails{
		ModelArn: aws.String(s.askedARN(region, id)), ModelId: aws.String(id), ModelName: aws.String(m.Name), ProviderName: aws.String(m.Provider),
		InputModalities: []types.ModelModality{types.ModelModalityText}, OutputModalities: []types.ModelModality{types.ModelModalityText},
		ResponseStreamingSupported: aws.Bool(false), InferenceTypesSupported: []types.InferenceType{},
		ModelLifecycle: &types.FoundationModelLifecycle{Status: types.FoundationModelLifecycleStatusActive},
	}
	for _, kind := range m.Customizations {
		d.CustomizationsSupported = append(d.CustomizationsSupported, types.ModelCustomization(kind))
	}
	return d
}

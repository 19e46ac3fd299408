package bedrock

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
)

// base is a foundation model as a caller knows it, and the installed model behind it.
type base struct {
	// asked is the id in its full form, with the context suffix; used is the installed model's id.
	asked, used string
	manifest    basemodel.Manifest
}

// errNoBase says that an id names nothing here.
var errNoBase = errors.New("unknown base model")

// resolveBase finds the base model that an id or foundation-model ARN of the region names.
func (s *Service) resolveBase(region cloister.Region, identifier string) (base, error) {
	id := identifier
	if strings.HasPrefix(identifier, "arn:") {
		arn, err := cloister.ParseARN(identifier)
		kind, rest := "", ""
		if err == nil {
			kind, rest = arn.Type()
		}
		if kind != "foundation-model" || arn.Service != "bedrock" || arn.Region != region {
			return base{}, errNoBase
		}
		id = rest
	}
	used := id
	if target, ok := s.Aliases[id]; ok {
		id, used = s.fullForm(id), target
	}
	manifest, err := s.Bases.Get(used)
	if errors.Is(err, basemodel.ErrNotInstalled) {
		if used != id {
			return base{}, cloister.Errorf("ValidationException",
				"The base model %s stands for %s here (models.aliases), which is not installed: run 'cloister models add %s', or map the id to another model under models.aliases in cloister.toml.",
				id, used, used)
		}
		return base{}, errNoBase
	}
	if err != nil {
		return base{}, fmt.Errorf("base model %s: %w", used, err)
	}
	return base{asked: id, used: used, manifest: manifest}, nil
}

// fullForm is the id with its context suffix: AWS accepts the short id and reports the long one.
func (s *Service) fullForm(id string) string {
	full := id
	for _, other := range slices.Sorted(maps.Keys(s.Aliases)) {
		if strings.HasPrefix(other, id+":") && s.Aliases[other] == s.Aliases[id] && len(other) > len(full) {
			full = other
		}
	}
	return full
}

// noBaseError is AWS's text for an id that names no model, with what there is.
func (s *Service) noBaseError(identifier string) error {
	return cloister.Errorf("ValidationException",
		"The provided model identifier is invalid. (%s is not installed: see 'cloister models list', 'cloister models add', and models.aliases in cloister.toml)", identifier)
}

var (
	jobARNPattern   = regexp.MustCompile(`^arn:aws(-[^:]+)?:bedrock:([a-z0-9-]{1,20}):([0-9]{12}):model-customization-job/[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}(:[a-z0-9-]{1,63}){0,2}/([a-z0-9]{12})$`)
	modelARNPattern = regexp.MustCompile(`^arn:aws(-[^:]+)?:bedrock:([a-z0-9-]{1,20}):([0-9]{12}):custom-model/(imported|[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}(:[a-z0-9-]{1,63}){0,2})/([a-z0-9]{12})$`)
)

// findJob authorizes an action on a job and loads it. The identifier is an ARN or a name.
func (s *Service) findJob(ctx context.Context, action, identifier string) (Job, error) {
	region := cloister.CallFrom(ctx).Region
	job, err := s.lookUpJob(ctx, region, identifier)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Job{}, err
	}
	found := err == nil
	resource := identifier
	switch {
	case found:
		resource = job.ARN
	case !strings.HasPrefix(identifier, "arn:"):
		resource = s.arn(region, "model-customization-job/"+identifier)
	}
	if err := s.authorize(ctx, action, resource); err != nil {
		return Job{}, err
	}
	if err := s.foreign(region, action, identifier); err != nil {
		return Job{}, err
	}
	if !found {
		return Job{}, cloister.Errorf("ResourceNotFoundException", "The provided job identifier could not be found: %s", identifier)
	}
	return job, nil
}

// findModel authorizes an action on a custom model and loads it. The identifier is an ARN or a name.
func (s *Service) findModel(ctx context.Context, action, identifier string) (Model, error) {
	region := cloister.CallFrom(ctx).Region
	model, err := s.Store.Model(ctx, s.Account, region, identifier)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Model{}, err
	}
	resource := identifier
	switch {
	case err == nil:
		resource = model.ARN
	case !strings.HasPrefix(identifier, "arn:"):
		resource = s.arn(region, "custom-model/"+identifier)
	}
	if denied := s.authorize(ctx, action, resource); denied != nil {
		return Model{}, denied
	}
	if strings.HasPrefix(identifier, "arn:") && !modelARNPattern.MatchString(identifier) {
		return Model{}, cloister.Errorf("ValidationException", "The provided model identifier is invalid.")
	}
	if err := s.foreign(region, action, identifier); err != nil {
		return Model{}, err
	}
	if err != nil {
		return Model{}, cloister.Errorf("ResourceNotFoundException", "The provided model identifier could not be found: %s", identifier)
	}
	return model, nil
}

// lookUpJob finds a job of the region by its ARN, whose last part is its id and nobody's name, or else by its
// name, or else by its id.
func (s *Service) lookUpJob(ctx context.Context, region cloister.Region, identifier string) (Job, error) {
	if !strings.HasPrefix(identifier, "arn:") {
		return s.Store.Job(ctx, s.Account, region, identifier)
	}
	job, err := s.Store.JobByID(ctx, identifier[strings.LastIndexByte(identifier, '/')+1:])
	if err == nil && job.ARN != identifier {
		return Job{}, ErrNotFound
	}
	return job, err
}

// foreign refuses ARNs of other accounts and regions.
func (s *Service) foreign(region cloister.Region, action, identifier string) error {
	if !strings.HasPrefix(identifier, "arn:") {
		return nil
	}
	arn, err := cloister.ParseARN(identifier)
	if err != nil {
		return cloister.Errorf("ValidationException", "The provided identifier is invalid: %v", err)
	}
	if arn.Account != s.Account || arn.Region != region {
		return cloister.Errorf("AccessDeniedException", "You may not call bedrock:%s on %s: it belongs to another account or region.", action, identifier)
	}
	return nil
}

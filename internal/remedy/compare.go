package remedy

import (
	"context"
	"fmt"
	"math"

	jmespath "github.com/jmespath/go-jmespath"

	"example.com/cloister/internal/awscall"
)

type answer = awscall.Answer

// Losses are how well a job learned.
type Losses struct {
	// Training is the loss at the end, Validation that of each validation set; nil where the service names none.
	Training   *float64  `json:"training,omitempty"`
	Validation []float64 `json:"validation,omitempty"`
}

// LossesOf reads the losses from the answer of GetModelCustomizationJob or GetCustomModel.
func LossesOf(members map[string]any) Losses {
	var l Losses
	if v, _ := jmespath.Search("trainingMetrics.trainingLoss", members); v != nil { // the query is right
		if f, ok := v.(float64); ok {
			l.Training = &f
		}
	}
	list, _ := members["validationMetrics"].([]any)
	for _, one := range list {
		m, _ := one.(map[string]any)
		if f, ok := m["validationLoss"].(float64); ok {
			l.Validation = append(l.Validation, f)
		}
	}
	return l
}

// decisive is the loss that comparisons go by: the mean of the validation losses, or else the training loss.
func (l Losses) decisive() (loss float64, what string, ok bool) {
	if n := len(l.Validation); n > 0 {
		sum := 0.0
		for _, v := range l.Validation {
			sum += v
		}
		return sum / float64(n), "validation loss", true
	}
	if l.Training != nil {
		return *l.Training, trainingLoss, true
	}
	return 0, "", false
}

const trainingLoss = "training loss"

// Compare says in one line how the losses of two jobs compare, and whether the new one's are more than most worse, as a
// part of the old one's, or cannot be compared.
func Compare(old, is Losses, most float64) (text string, worse bool) {
	was, what, known := old.decisive()
	now, same, both := is.decisive()
	if !known || !both || what != same {
		return "the losses cannot be compared: both jobs must name the same kind", true
	}
	text = fmt.Sprintf("%s %.4g, before %.4g", what, now, was)
	if what != trainingLoss && old.Training != nil && is.Training != nil { // told, but it decides nothing
		text += fmt.Sprintf("; %s %.4g, before %.4g", trainingLoss, *is.Training, *old.Training)
	}
	return text, !(now <= was+most*math.Abs(was)) // what is no number is not good
}

// compare reads the losses of the new job beside those of the old.
func (r *Runner) compare(ctx context.Context, s *Step) error {
	text, worse, err := r.losses(ctx, s)
	if err != nil {
		return err
	}
	if worse && !r.AcceptLoss {
		return fmt.Errorf("the new model is not shown to be as good: %s; nothing more is done for it: 'remediate resume --accept-loss' goes on, 'remediate rollback' takes back", text)
	}
	r.tell(s, "done", text)
	return r.add(Record{Record: recordDone, Step: s.ID, Message: text})
}

// losses reads the losses of the new job, and says how they compare.
func (r *Runner) losses(ctx context.Context, s *Step) (text string, worse bool, err error) {
	caller, err := r.Clients(s.Account, s.Region)
	if err != nil {
		return "", false, err
	}
	parameters, err := fillJSON(s.Parameters, r.value(s))
	if err != nil {
		return "", false, err
	}
	answer, err := r.make(ctx, r.reader(caller), s.Call, parameters)
	if err != nil {
		return "", false, err
	}
	text, worse = Compare(s.Losses.Old, LossesOf(answer.Members), s.Losses.Most)
	return text, worse, nil
}

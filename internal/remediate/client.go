package remediate

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/remedy"
)

// Client makes calls with the credentials of a collection. An account that it did not open makes each call fail.
func Client(read *collect.Collection, account, region string) *awscall.Client {
	return awscall.New(read.CallTimeout(), func(service string) aws.Config {
		cfg, err := read.Config(account, region, service)
		if err != nil {
			return aws.Config{Region: region, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, err
			})}
		}
		return cfg
	})
}

// Connect opens the accounts of a plan, in its regions, without reading anything, and says whether they are those that it
// was made for.
func Connect(ctx context.Context, o collect.Options, p *remedy.Plan) (*collect.Collection, error) {
	o.Wanted, o.Regions, o.Exclude = map[string]bool{}, nil, nil
	for _, s := range p.Steps {
		o.Regions = append(o.Regions, s.Region)
	}
	read, err := collect.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	return read, same(read, p)
}

// same says that accounts are not where they were when the plan was made, or not reached at all.
func same(read *collect.Collection, p *remedy.Plan) error {
	for _, a := range p.Accounts {
		found := false
		for _, have := range read.Inventory.Accounts {
			if have.ID != a.ID {
				continue
			}
			if have.Error != nil {
				return fmt.Errorf("account %s: %s: %s: %s", a.ID, have.Error.Operation, have.Error.Code, have.Error.Message)
			}
			if have.Foreign != a.Endpoint {
				return &remedy.DriftError{What: fmt.Sprintf("the plan was made for account %s at %s, and this is %s", a.ID, place(a.Endpoint), place(have.Foreign))}
			}
			for service, endpoint := range a.Endpoints {
				if is := endpointOf(read, a.ID, p.Steps[0].Region, service); is != endpoint {
					return &remedy.DriftError{What: fmt.Sprintf("the plan was made for %s of account %s at %s, and this is %s", service, a.ID, place(endpoint), place(is))}
				}
			}
			found = true
		}
		if !found {
			return &remedy.DriftError{What: fmt.Sprintf("the plan changes account %s, which the credentials do not reach: name its profile, role or accounts file", a.ID)}
		}
	}
	return nil
}

// endpointOf is the endpoint that was given for a service; "" is AWS's own.
func endpointOf(read *collect.Collection, account, region, service string) string {
	cfg, err := read.Config(account, region, service)
	if err != nil {
		return ""
	}
	return awscall.Endpoint(service, cfg)
}

func place(endpoint string) string {
	if endpoint == "" {
		return "AWS"
	}
	return endpoint
}

// get makes a read call with parameters given as members.
func get(ctx context.Context, c *awscall.Client, call string, parameters map[string]any) (map[string]any, error) {
	text, err := json.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	answer, err := c.Call(ctx, call, text)
	if err != nil {
		return nil, err
	}
	return answer.Members, nil
}

// parameters are members as a step holds them: nothing in them is taken for a placeholder.
func parameters(members map[string]any) json.RawMessage { return filled(remedy.Literal(members)) }

// filled are members with placeholders.
func filled(members any) json.RawMessage {
	text, err := json.Marshal(members)
	if err != nil {
		panic("parameters of a plan: " + err.Error()) // texts, lists and maps always can be
	}
	return text
}

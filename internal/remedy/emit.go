package remedy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/posture"
)

// EmitCLI writes the plan's calls as commands of the aws CLI, for sh. What a later command needs of an earlier one's answer is
// a shell variable, which the earlier command sets. The script stops where apply would: at the credentials of another account,
// at a job that did not complete, and at losses that nobody has compared. It can be run again: a job with the same token is
// not made twice. With several accounts it is run once with the credentials of each, and makes the calls of that one.
func EmitCLI(w io.Writer, p *Plan, hash string) error {
	r := &Runner{Plan: p, Hash: hash, Journal: &Journal{}}
	lines := []string{"set -eu"}
	for _, a := range p.Accounts {
		lines = append(lines, "")
		if len(p.Accounts) > 1 {
			lines = append(lines, "unset AWS_ENDPOINT_URL")
		}
		if a.Endpoint != "" {
			lines = append(lines, "export AWS_ENDPOINT_URL="+posture.ShellQuote(a.Endpoint))
		}
		for _, service := range slices.Sorted(maps.Keys(a.Endpoints)) {
			if endpoint := a.Endpoints[service]; endpoint != a.Endpoint {
				lines = append(lines, "export AWS_ENDPOINT_URL_"+strings.ToUpper(strings.ReplaceAll(service, "-", "_"))+"="+posture.ShellQuote(endpoint))
			}
		}
		first, last := p.enter(a.ID)
		lines = append(lines, first)
		for i := range p.Steps {
			s := &p.Steps[i]
			if s.Account != a.ID {
				continue
			}
			commands, err := r.commands(s)
			if err != nil {
				return fmt.Errorf("step %s: %w", s.ID, err)
			}
			lines = append(lines, "", ansi.Visible("# "+s.ID+" "+s.Text+", account "+s.Account))
			lines = append(lines, commands...)
		}
		lines = append(lines, last...)
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// enter are the lines around the commands of an account.
func (p *Plan) enter(account string) (first string, last []string) {
	region := ""
	for _, s := range p.Steps {
		if s.Account == account && region == "" {
			region = s.Region
		}
	}
	is := `[ "$(aws sts get-caller-identity --region ` + posture.ShellQuote(region) + ` --query Account --output text)" = ` + posture.ShellQuote(account) + " ]"
	if len(p.Accounts) > 1 {
		return "if " + is + "; then", []string{"fi"}
	}
	return is + ` || { echo "these commands are for account ` + account + `" >&2; exit 1; }`, nil
}

// variable is the shell's name of a result.
func variable(step, name string) string {
	return strings.ToUpper("step_" + strings.ReplaceAll(step, ".", "_") + "_" + name)
}

// commands are a step's call. The document's own order of parameters comes first.
func (r *Runner) commands(s *Step) ([]string, error) {
	members, m, err := r.marked(s)
	if err != nil {
		return nil, err
	}
	job, _ := members["jobName"].(string)
	if s.Kind != KindCall {
		job, _ = members["jobIdentifier"].(string)
	}
	get := "aws bedrock get-model-customization-job --region " + posture.ShellQuote(s.Region) + " --job-identifier " + m.shell(job)
	lookUp := func(name string) string {
		return variable(s.ID, name) + "=$(" + get + " --query " + posture.ShellQuote(s.Results[name]) + " --output text)"
	}
	var command string
	switch status := variable(s.ID, "status"); s.Kind {
	case KindCompare:
		return []string{
			get + ` --query '[trainingMetrics, validationMetrics]'`,
			`[ "${LOSSES_ACCEPTED:-}" = yes ] || { echo "compare these losses with those of the old job; if they are good, run this again with LOSSES_ACCEPTED=yes" >&2; exit 1; }`,
		}, nil
	case KindWait:
		command = "while " + status + "=$(" + get + " --query status --output text); [ \"$" + status + "\" = InProgress ]; do sleep 60; done\n" +
			`[ "$` + status + `" = Completed ] || { echo "the job is $` + status + `" >&2; exit 1; }`
	}
	if s.Kind == KindCall {
		if command, err = m.call(s, members); err != nil {
			return nil, err
		}
	}
	if s.Kind != KindWait && s.Call != createJob && len(s.Results) > 1 {
		return nil, errors.New("more than one result of a call cannot be put into shell variables")
	}
	var more []string
	for _, name := range slices.Sorted(maps.Keys(s.Results)) { // later commands want it
		if s.Kind == KindWait || s.Call == createJob { // the command itself stays as the document has it
			more = append(more, lookUp(name))
			continue
		}
		command = variable(s.ID, name) + "=$(" + command + " \\\n  --query " + posture.ShellQuote(s.Results[name]) + " --output text)"
	}
	return append([]string{command}, more...), nil
}

// mark stands before and after a shell variable's name in the texts of a step, and nowhere else in them: what comes from an
// account cannot be taken for a variable.
type mark string

// marked are a step's parameters with the marked names of variables.
func (r *Runner) marked(s *Step) (map[string]any, mark, error) {
	var members map[string]any
	if err := json.Unmarshal(s.Parameters, &members); err != nil {
		return nil, "", err
	}
	m := mark("Z0") // it does not overlap itself, and JSON writes it as it is
	for n := 1; strings.Contains(strings.ToUpper(text(members)), string(m)); n++ {
		m = mark(fmt.Sprintf("Z%d", n))
	}
	filled, err := fill(members, func(name string) (string, bool) {
		if v, ok := r.value(s)(name); ok {
			return v, true
		}
		if i := strings.LastIndexByte(name, '.'); i > 0 {
			return string(m) + variable(name[:i], name[i+1:]) + string(m), true
		}
		return "", false
	})
	if err != nil {
		return nil, "", err
	}
	members, _ = filled.(map[string]any)
	return members, m, nil
}

// call is the command of a step's call.
func (m mark) call(s *Step, members map[string]any) (string, error) {
	words := []string{"aws " + cliName(s.Call), "--region " + posture.ShellQuote(s.Region)}
	for _, name := range ordered(members) {
		word, err := m.flag(name, members[name])
		if err != nil {
			return "", err
		}
		words = append(words, word)
	}
	return strings.Join(words, " \\\n  "), nil
}

// documentOrder is the order in which the knowledge base's command has the parameters of a new job.
func documentOrder() []string {
	return []string{
		"jobName", "customModelName", "baseModelIdentifier", "roleArn", "trainingDataConfig", "outputDataConfig", "hyperParameters", "customModelKmsKeyId", "vpcConfig",
	}
}

func ordered(members map[string]any) []string {
	var names []string
	for _, name := range documentOrder() {
		if _, ok := members[name]; ok {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

var (
	hump   = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	abbrev = regexp.MustCompile(`([A-Z]+)([A-Z][a-z])`)
)

// kebab is a name as the aws CLI writes it.
func kebab(name string) string {
	return strings.ToLower(hump.ReplaceAllString(abbrev.ReplaceAllString(name, "$1-$2"), "$1-$2"))
}

func cliName(call string) string {
	service := awscall.Service(call)
	_, name, _ := strings.Cut(call, ":")
	if service == "s3" {
		service = "s3api"
	}
	return service + " " + kebab(name)
}

// flag is one parameter: texts as they are, what the CLI's shorthand can say in shorthand, all else as JSON.
func (m mark) flag(name string, v any) (string, error) {
	option := "--" + kebab(name)
	switch v := v.(type) {
	case bool:
		if !v {
			return "--no-" + kebab(name), nil
		}
		return option, nil
	case string:
		switch {
		case strings.HasPrefix(v, "file://"), strings.HasPrefix(v, "fileb://"):
			return "", fmt.Errorf("%s is %q, for which the aws CLI would read a file", name, v)
		case strings.HasPrefix(v, "-"): // or it would be taken for an option
			return option + "=" + m.shell(v), nil
		}
		return option + " " + m.shell(v), nil
	case map[string]any:
		if short, ok := m.shorthand(v); ok {
			return option + " " + short, nil
		}
	}
	return option + " " + m.shell(text(v)), nil
}

// plainValue is what may stand between the double quotes of the CLI's shorthand, and in a shell's single quotes.
var plainValue = regexp.MustCompile(`^[A-Za-z0-9_./:+-]+$`)

// shorthand is an object of texts, and of lists of texts, as the CLI's shorthand: key="value",list="one","two".
// Source: AWS CLI User Guide, "Using shorthand syntax".
func (m mark) shorthand(members map[string]any) (string, bool) {
	var parts []string
	list := false
	names := slices.Sorted(maps.Keys(members))
	if _, ok := members["subnetIds"]; ok { // as the document has it
		slices.Reverse(names)
	}
	for _, name := range names {
		values := []any{members[name]}
		if l, ok := members[name].([]any); ok {
			values, list = l, true
		}
		if !plainValue.MatchString(name) || len(values) == 0 {
			return "", false
		}
		var quoted []string
		for _, value := range values {
			s, ok := value.(string)
			if !ok || !plainValue.MatchString(s) || strings.Contains(s, string(m)) {
				return "", false
			}
			quoted = append(quoted, `"`+s+`"`)
		}
		parts = append(parts, name+"="+strings.Join(quoted, ","))
	}
	if list {
		return "'" + strings.Join(parts, ",") + "'", true
	}
	return strings.Join(parts, ","), len(parts) > 0
}

// shell quotes a text; what a shell variable stands for is left to the shell.
func (m mark) shell(s string) string {
	parts := strings.Split(s, string(m))
	if len(parts) == 1 {
		return posture.ShellQuote(s)
	}
	var b strings.Builder
	for i, part := range parts {
		switch {
		case i%2 == 1:
			b.WriteString(`"$` + part + `"`)
		case part != "":
			b.WriteString(posture.ShellQuote(part))
		}
	}
	return b.String()
}

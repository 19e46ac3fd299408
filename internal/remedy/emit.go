package remedy

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/posture"
)

// EmitCLI writes the plan's calls as commands of the aws CLI, for a POSIX shell. What a later command needs of an earlier
// one's answer is a shell variable, which the earlier command sets.
func EmitCLI(w io.Writer, p *Plan, hash string) error {
	r := &Runner{Plan: p, Hash: hash, Journal: &Journal{}}
	var lines []string
	waited := map[string]string{} // change to the variable with its job's status
	for i := range p.Steps {
		s := &p.Steps[i]
		lines = append(lines, "", "# "+s.ID+" "+clean(s.Text)+", account "+s.Account)
		switch s.Kind {
		case KindWait:
			waited[s.Change] = variable(s.ID, "status")
			lines = append(lines, waitLoop(s)...)
			continue
		case KindCompare:
			lines = append(lines, "# (compare trainingMetrics and validationMetrics of both jobs)")
			continue
		}
		command, err := r.command(s)
		if err != nil {
			return fmt.Errorf("step %s: %w", s.ID, err)
		}
		if status := waited[s.Change]; status != "" { // nothing more for a job that failed
			command = `[ "$` + status + `" = Completed ] && ` + command
		}
		lines = append(lines, command)
	}
	_, err := io.WriteString(w, strings.TrimPrefix(strings.Join(lines, "\n"), "\n")+"\n")
	return err
}

// clean is a text for a comment: on one line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// variable is the shell's name of a result.
func variable(step, name string) string {
	return strings.ToUpper("step_" + strings.ReplaceAll(step, ".", "_") + "_" + name)
}

// command is a step's call. The document's own order of parameters comes first.
func (r *Runner) command(s *Step) (string, error) {
	var members map[string]any
	if err := json.Unmarshal(s.Parameters, &members); err != nil {
		return "", err
	}
	filled, err := fill(members, func(name string) (string, bool) {
		if v, ok := r.value(s)(name); ok {
			return v, true
		}
		if i := strings.LastIndexByte(name, '.'); i > 0 {
			return "\x00" + variable(name[:i], name[i+1:]) + "\x00", true
		}
		return "", false
	})
	if err != nil {
		return "", err
	}
	members, _ = filled.(map[string]any)
	words := []string{"aws " + cliName(s.Call), "--region " + posture.ShellQuote(s.Region)}
	for _, name := range ordered(members) {
		words = append(words, flag(name, members[name]))
	}
	command := strings.Join(words, " \\\n  ")
	for _, name := range slices.Sorted(maps.Keys(s.Results)) { // later commands want it
		if s.Call == createJob {
			command += "\n" + lookUp(s, members["jobName"], name)
			continue
		}
		command = variable(s.ID, name) + "=$(" + command + " \\\n  --query " + posture.ShellQuote(s.Results[name]) + " --output text)"
	}
	return command, nil
}

// lookUp reads a result of the job that a command created: the command itself stays as the document has it.
func lookUp(s *Step, job any, name string) string {
	id, _ := job.(string)
	return variable(s.ID, name) + "=$(" + getJobCommand(s, posture.ShellQuote(id)) + " --query " + posture.ShellQuote(s.Results[name]) + " --output text)"
}

func getJobCommand(s *Step, id string) string {
	return "aws bedrock get-model-customization-job --region " + posture.ShellQuote(s.Region) + " --job-identifier " + id
}

func waitLoop(s *Step) []string {
	var in map[string]any
	_ = json.Unmarshal(s.Parameters, &in) // the plan was checked
	id, _ := in["jobIdentifier"].(string)
	if m := placeholder.FindString(id); m != "" && m != "$${" {
		name := m[2 : len(m)-1]
		i := strings.LastIndexByte(name, '.')
		id = `"$` + variable(name[:i], name[i+1:]) + `"`
	}
	get := getJobCommand(s, id)
	status := variable(s.ID, "status")
	lines := []string{"while " + status + "=$(" + get + " --query status --output text); [ \"$" + status + "\" = InProgress ]; do sleep 60; done; echo \"$" + status + "\""}
	for _, name := range slices.Sorted(maps.Keys(s.Results)) {
		lines = append(lines, variable(s.ID, name)+"=$("+get+" --query "+posture.ShellQuote(s.Results[name])+" --output text)")
	}
	return lines
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
func flag(name string, v any) string {
	option := "--" + kebab(name)
	switch v := v.(type) {
	case bool:
		if !v {
			return "--no-" + kebab(name)
		}
		return option
	case string:
		return option + " " + shell(v)
	case map[string]any:
		if short, ok := shorthand(v); ok {
			return option + " " + short
		}
	}
	return option + " " + shell(text(v))
}

// plainValue is what may stand between the double quotes of the CLI's shorthand, and in a shell's single quotes.
var plainValue = regexp.MustCompile(`^[A-Za-z0-9_./:+-]+$`)

// shorthand is an object of texts, and of lists of texts, as the CLI's shorthand: key="value",list="one","two".
// Source: AWS CLI User Guide, "Using shorthand syntax".
func shorthand(members map[string]any) (string, bool) {
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
			if !ok || !plainValue.MatchString(s) {
				return "", false
			}
			quoted = append(quoted, `"`+s+`"`)
		}
		parts = append(parts, name+"="+strings.Join(quoted, ","))
	}
	if list {
		return "'" + strings.Join(parts, ",") + "'", true
	}
	return strings.Join(parts, ","), true
}

// shell quotes a text; what a shell variable stands for is left to the shell.
func shell(s string) string {
	if !strings.Contains(s, "\x00") && !strings.Contains(s, `\u0000`) {
		return posture.ShellQuote(s)
	}
	s = strings.ReplaceAll(s, `\u0000`, "\x00")
	var b strings.Builder
	for i, part := range strings.Split(s, "\x00") {
		switch {
		case i%2 == 1:
			b.WriteString(`"$` + part + `"`)
		case part != "":
			b.WriteString(posture.ShellQuote(part))
		}
	}
	return b.String()
}

package posture

import (
	"strings"
	"time"
)

func lifLogic() []logic {
	return []logic{
		rule("MC-LIF-002", jobs, jobNotStuck),
		rule("MC-LIF-003", interfaces, interfaceUsed),
		rule("MC-LIF-005", jobs, jobResolved),
	}
}

func jobNotStuck(t *Trial, _ Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	hours := t.Int("max_hours")
	switch d.Status {
	case "InProgress":
		if age := t.Now.Sub(d.Created); age > time.Duration(hours)*time.Hour {
			return Failed("job %s has been running for %d hours, more than %d", j.Name, int(age.Hours()), hours).With("status", d.Status)
		}
	case "Stopping":
		since := d.Modified
		if since.IsZero() {
			since = d.Created
		}
		if t.Now.Sub(since) > time.Hour {
			return Failed("job %s has been stopping for more than an hour", j.Name).With("status", d.Status)
		}
	}
	return Passed("job %s is %s", j.Name, d.Status).With("status", d.Status)
}

// interfaces are the network interfaces that Bedrock made.
func interfaces(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		return listed(r, r.Interfaces, func(i *Interface) Subject {
			s := r.subject(TypeInterface, r.arn("ec2", "network-interface/"+i.ID), i.ID, i)
			s.Found = i.Found
			return s
		})
	})
}

func interfaceUsed(t *Trial, s Subject, i *Interface) Outcome {
	if i.Status != "available" {
		return Passed("network interface %s is %s", i.ID, i.Status).With("status", i.Status)
	}
	if i.Job == "" {
		return Failed("network interface %s of Bedrock is attached to nothing, and names no job", i.ID).With("status", i.Status)
	}
	r := s.region()
	job := r.job(i.Job)
	if job == nil {
		NeedAll(t, r.Jobs)
		return Failed("network interface %s is left of job %s, which is not here", i.ID, i.Job).With("status", i.Status)
	}
	t.saw(job.Found)
	if terminal(job.Status) {
		return Failed("network interface %s is left of job %s, which is %s", i.ID, job.Name, job.Status).With("status", i.Status)
	}
	return Passed("network interface %s is of job %s, which is %s", i.ID, job.Name, job.Status).With("status", i.Status)
}

// jobResolved looks at what Settle decides in the end: whether failing verdicts on an ended job are answered for.
func jobResolved(t *Trial, s Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	if !d.Terminal() {
		return Skipped("job %s has not ended", j.Name)
	}
	var failing []string
	var missing []*Unread
	for _, id := range settled() {
		switch out := t.Verdict(id, s); out.Status {
		case Fail:
			failing = append(failing, id)
		case Error:
			missing = append(missing, out.Unread...)
		default: // answered for
		}
	}
	if len(failing) > 0 {
		out := Failed("job %s has ended and still fails %s: no successor, no mute", j.Name, strings.Join(failing, ", ")).With("failing", failing)
		out.Unread = missing // Settle needs it, when all that fails is answered for
		return out
	}
	if len(missing) > 0 {
		return Outcome{Status: Error, Message: unreadMessage(missing[0]), Unread: missing}
	}
	return Passed("job %s fails none of %s", j.Name, strings.Join(settled(), ", "))
}

// settled are the rules whose failures on ended jobs want a successor or a mute.
func settled() []string { return []string{"MC-JOB-001", "MC-JOB-002", "MC-JOB-003", "MC-JOB-004"} }

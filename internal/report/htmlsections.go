package report

import "example.com/cloister/internal/markup"

func putResults(w *markup.Writer, p *page) {
	w.Put(`
<section id="results">
<h2>Results <small class="shown" aria-live="polite">{}</small></h2>
<form class="filters" hidden>`, p.TotalText)
	for _, f := range p.Filters {
		w.Put(`
<label><span>{}</span><select data-filter="{}"><option value="">all</option>`, f.Label, f.Key)
		for _, o := range f.Options {
			w.Put(`<option value="{}">{}</option>`, o.Value, o.Text)
		}
		w.Put(`</select></label>`)
	}
	w.Put(`
<label class="text"><span>Search</span><input type="search" data-filter="q" placeholder="name, message, tag, request id …" autocomplete="off" spellcheck="false"></label>
<button type="reset">Clear</button>
</form>
<div class="rows">
<div class="heads" aria-hidden="true"><span>Verdict</span><span>Severity</span><span>Rule</span><span>Resource</span><span>Account, region</span></div>`)
	for one := range p.Rows {
		if w.Err() != nil {
			return
		}
		putRow(w, &one)
	}
	w.Put(`
<p class="empty" hidden>No result matches the filters.</p>
</div>
</section>`)
}

func putRow(w *markup.Writer, r *row) {
	w.Put(`
<details class="r {}" id="f-{}" data-s="{}" data-v="{}" data-r="{}" data-a="{}" data-g="{}">`,
		r.Class, r.ID, r.Status, r.Severity, r.Rule, r.Account, r.Region)
	w.Put(`<summary><span class="st">{}</span><span class="sv">{}</span><span class="ru">{}</span>`, r.StatusText, r.SeverityText, r.Rule)
	w.Put(`<span class="na"><b>{}</b><span>{}</span></span><span class="wh">{}<span>{}`, r.Name, r.Message, r.Account, r.Region)
	w.PutIf(` · {}`, r.Change)
	w.Put(`</span></span></summary><div class="b"><pre>{}</pre>`, r.Identity)
	w.PutIf(`<h4>Not read</h4><pre>{}</pre>`, r.Unread)
	w.PutIf(`<h4>Facts that decided</h4><pre>{}</pre>`, r.Facts)
	w.PutIf(`<h4>Evidence</h4><pre>{}</pre>`, r.Evidence)
	w.PutIf(`<h4>See for yourself</h4><pre>{}</pre>`, r.Commands)
	w.Put(`<h4>Explain and mend</h4><pre>{}</pre><p><a href="#rule-{}">About {}</a></p></div></details>`, r.Explain, r.Rule, r.Rule)
}

func putAccounts(w *markup.Writer, accounts []accountView) {
	w.Put(`
<section>
<h2>Accounts and regions</h2>
<div class="accounts">`)
	for i := range accounts {
		a := &accounts[i]
		w.Put(`
<div class="account"><h3>{}`, a.ID)
		w.PutIf(` <span>{}</span>`, a.Name)
		w.Put(`</h3><p class="why">{}</p>`, a.Note)
		if len(a.Regions) > 0 {
			w.Put(`<ul>`)
			for _, region := range a.Regions {
				w.Put(`<li class="{}"><b>{}</b> {}</li>`, region.Class, region.Name, region.Note)
			}
			w.Put(`</ul>`)
		}
		w.PutIf(`<p class="why">No jobs, no models: {}</p>`, a.Empty)
		w.PutIf(`<p class="why">Without Bedrock: {}</p>`, a.Absent)
		w.Put(`</div>`)
	}
	w.Put(`
</div>
</section>`)
}

// putList writes a section of plain lines, if there are any.
func putList(w *markup.Writer, title string, list []string) {
	if len(list) == 0 {
		return
	}
	w.Put(`
<section><h2>{}</h2><ul class="plain">`, title)
	w.Each(`<li>{}</li>`, list)
	w.Put(`</ul></section>`)
}

func putRules(w *markup.Writer, p *page) {
	w.Put(`
<section>
<h2>Rules <small>{}</small></h2>`, p.RuleCount)
	for i := range p.Rules {
		putRule(w, &p.Rules[i])
	}
	w.Put(`
</section>`)
}

func putRule(w *markup.Writer, r *ruleView) {
	w.Put(`
<details class="rule" id="rule-{}"><summary><span class="ru">{}</span><b>{}</b><span class="sv">{}</span></summary><div class="b">
`, r.ID, r.ID, r.Title, r.Severity)
	w.Each(`<p>{}</p>`, r.Rationale)
	w.Put(`
<p><strong class="t-pass">PASS</strong> {}<br><strong class="t-fail">FAIL</strong> {}</p>
`, r.PassWhen, r.FailWhen)
	for i := range r.Steps {
		putSteps(w, &r.Steps[i])
	}
	w.Put(`
<p class="why">{}</p>
`, r.About)
	if len(r.References) > 0 {
		w.Put(`<ul class="plain">`)
		for _, ref := range r.References {
			if ref.URL != "" {
				w.Put(`<li><a href="{}" rel="noreferrer noopener" target="_blank">{}</a></li>`, ref.URL, ref.Title)
			} else {
				w.Put(`<li>{}</li>`, ref.Title)
			}
		}
		w.Put(`</ul>`)
	}
	w.Put(`
</div></details>`)
}

func putSteps(w *markup.Writer, s *stepsView) {
	w.Put(`<h4>{}</h4>`, s.Title)
	if len(s.Console) > 0 {
		w.Put(`<ol>`)
		w.Each(`<li>{}</li>`, s.Console)
		w.Put(`</ol>`)
	}
	for _, step := range s.CLI {
		w.Put(`<p>{}</p>`, step.Text)
		w.PutIf(`<pre>{}</pre>`, step.Run)
		w.PutIf(`<pre class="out">{}</pre>`, step.Output)
	}
}

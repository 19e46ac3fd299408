package handbook

import (
	"strconv"

	"example.com/cloister/internal/markup"
	"example.com/cloister/internal/posture"
)

func (s *site) putRule(w *markup.Writer, v ruleView) {
	w.Put(`<header>
<p class="crumbs"><a href="index.html">Rules</a> <a href="{}">{}</a> <span>{}</span></p>
<h1>{}</h1>
<p class="badges"><span class="sev {}">Risk level: {}</span> <span>{}</span>`,
		groupPage(v.row.Group), v.GroupTitle, v.row.ID, v.row.Title, v.Level, v.Risk, v.Pillar)
	w.Each(` <span>{}</span>`, v.Aliases)
	w.Put(`</p>
</header>
<div class="split">
<main>
<section>
<h2>Rationale</h2>
<p>`)
	s.putRich(w, v.Rationale)
	w.Put(`</p>
<dl class="verdicts">
<div class="pass"><dt>Passes when</dt><dd>`)
	s.putRich(w, v.PassWhen)
	w.Put(`</dd></div>
<div class="fail"><dt>Fails when</dt><dd>`)
	s.putRich(w, v.FailWhen)
	w.Put(`</dd></div>
</dl>
</section>
<section id="audit">
<h2>Audit</h2>
`)
	s.putSteps(w, &v.Audit)
	w.Put(`</section>
<section id="remediation">
<h2>Remediation</h2>
`)
	s.putHazards(w, &v)
	s.putSteps(w, &v.Remediation)
	w.Put(`</section>
<section id="references">
<h2>References</h2>
<ul>`)
	for _, ref := range v.References {
		w.Put(`<li><a href="{}" rel="external noreferrer">{}</a></li>
`, ref.URL, ref.Title)
	}
	w.Put(`</ul>
</section>
<p class="published">Publication date {}</p>
</main>
`, v.Reviewed)
	putAside(w, &v)
	w.Put(`</div>
<nav class="turn" aria-label="Other rules">
`)
	if v.Previous != nil {
		w.Put(`<a href="{}" rel="prev"><small>{}</small>{}</a>`, v.Previous.page(), v.Previous.ID, v.Previous.Title)
	} else {
		w.Put(`<span></span>`)
	}
	w.Put("\n")
	if v.Next != nil {
		w.Put(`<a href="{}" rel="next"><small>{}</small>{}</a>`, v.Next.page(), v.Next.ID, v.Next.Title)
	} else {
		w.Put(`<span></span>`)
	}
	w.Put(`
</nav>
`)
}

func (s *site) putHazards(w *markup.Writer, v *ruleView) {
	w.Put(`<div class="hazards">
<h3>Before you change anything</h3>
<p>Kind of change: <strong>{}</strong>, {}.`, v.Fix.Class, v.FixClass)
	if v.Supersedable {
		w.Put(` A failing object cannot be mended: it counts as superseded once a compliant successor has taken its place.`)
	}
	w.Put(`</p>
<ul>`)
	for _, hazard := range v.Fix.Hazards {
		w.Put(`<li>`)
		s.putRich(w, hazard)
		w.Put(`</li>
`)
	}
	w.Put(`</ul>
</div>
`)
}

func (s *site) putSteps(w *markup.Writer, steps *posture.Steps) {
	w.Put(`<h3>Using AWS Console</h3>
<ol>`)
	for _, step := range steps.Console {
		w.Put(`<li><p>`)
		s.putRich(w, step)
		w.Put(`</p></li>
`)
	}
	w.Put(`</ol>
<h3>Using AWS CLI</h3>
<ol>`)
	for _, step := range steps.CLI {
		w.Put(`<li><p>`)
		s.putRich(w, step.Text)
		w.Put(`</p>`)
		class := "doc"
		if step.Run != "" {
			putBlock(w, "run", step.Run)
			class = "out"
		}
		if step.Output != "" {
			putBlock(w, class, step.Output)
		}
		w.Put(`</li>
`)
	}
	w.Put(`</ol>
`)
}

// putBlock writes a command, its output or a document.
func putBlock(w *markup.Writer, class, text string) {
	w.Put(`
<pre class="{}" tabindex="0"><code>`, class)
	putCode(w, text)
	w.Put(`</code></pre>`)
}

// putAside writes what else there is to know of a rule, beside its text.
func putAside(w *markup.Writer, v *ruleView) {
	w.Put(`<aside>
<dl>
<dt>Rule</dt><dd>{}, version {}</dd>
<dt>Judges</dt><dd class="mono">{}</dd>
<dt>Reads</dt><dd><ul class="bare mono">`, v.row.ID, strconv.Itoa(v.Version), v.Resource)
	for _, read := range v.Reads {
		w.Put(`<li>{}`, read.Operation)
		w.PutIf(`<small>needs {}</small>`, read.Action)
		w.Put(`</li>
`)
	}
	w.Put(`</ul></dd>
`)
	if len(v.Settings) > 0 {
		w.Put(`<dt>Settings</dt>`)
	}
	for _, one := range v.Settings {
		w.Put(`<dd><code>{}</code> <small>{}. Default {} ({}).</small></dd>
`, one.Name, one.Description, one.Default, one.Limits)
	}
	putRelated(w, "Builds on", v.Uses)
	putRelated(w, "Used by", v.UsedBy)
	if len(v.Supports) > 0 {
		w.Put(`<dt>Supports</dt>`)
	}
	for _, f := range v.Supports {
		w.Put(`<dd><a href="{}">{}</a> <small>`, frameworkPage(f.ID), f.Title)
		for i, c := range f.Controls {
			if i > 0 {
				w.Put(`, `)
			}
			w.Put(`{}`, c.ID)
		}
		w.Put(`</small></dd>
`)
	}
	w.Put(`</dl>
</aside>
`)
}

// putRelated writes the links to other rules, if there are any.
func putRelated(w *markup.Writer, title string, rules []row) {
	if len(rules) == 0 {
		return
	}
	w.Put(`<dt>{}</dt><dd><ul class="bare">`, title)
	for i := range rules {
		w.Put(`<li><a href="{}">{}</a></li>
`, rules[i].page(), rules[i].ID)
	}
	w.Put(`</ul></dd>
`)
}

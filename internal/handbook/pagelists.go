package handbook

import (
	"strconv"

	"example.com/cloister/internal/markup"
)

func putIndex(w *markup.Writer, v indexView) {
	w.Put(`<header>
<h1>Rules for model customization</h1>
<p class="lead">{} rules on jobs that customize models on Amazon Bedrock, and on the networks, keys, buckets, models and records around them. Each says why, how to check and how to fix, by console and by command line.</p>
</header>
<main>
<form class="filters" hidden>
<label class="text"><span>Search</span><input type="search" name="q" placeholder="flow logs, MC-S3, Bedrock-014, SC-7, kms:ListGrants …" autocomplete="off" spellcheck="false"></label>
<label><span>Risk level</span><select name="level"><option value="">all</option>`, strconv.Itoa(v.Count))
	for _, o := range v.Severities {
		putOption(w, o.ID, o.Title)
	}
	w.Put(`</select></label>
<label><span>Group</span><select name="group"><option value="">all</option>`)
	for _, g := range v.Groups {
		putOption(w, g.ID, g.Title)
	}
	w.Put(`</select></label>
<label><span>Framework</span><select name="framework"><option value="">all</option>`)
	for _, f := range v.Frameworks {
		putOption(w, f.ID, f.Title)
	}
	w.Put(`</select></label>
<button type="reset">Clear</button>
<output aria-live="polite"></output>
</form>
`)
	for _, g := range v.Groups {
		putIndexGroup(w, g)
	}
	w.Put(`<p class="none" hidden>No rule matches.</p>
<section class="frameworks">
<h2>By framework</h2>
<ul class="chips">`)
	for _, f := range v.Frameworks {
		w.Put(`<li><a href="{}">{}</a></li>
`, frameworkPage(f.ID), f.Title)
	}
	w.Put(`</ul>
</section>
</main>
`)
}

func putOption(w *markup.Writer, value, text string) {
	w.Put(`<option value="{}">{}</option>`, value, text)
}

func putIndexGroup(w *markup.Writer, g groupView) {
	w.Put(`<section class="group" id="{}">
<h2><a href="{}">{}</a></h2>
<div class="card"><table><colgroup><col class="c1"><col class="c2"><col></colgroup><thead class="sr"><tr><th>Rule</th><th>Risk level</th><th>Title</th></tr></thead><tbody>
`, g.ID, groupPage(g.ID), g.Title)
	for i := range g.Rules {
		r := &g.Rules[i]
		w.Put(`<tr data-level="{}" data-group="{}" data-framework="{}" data-search="{}"><td class="id"><a href="{}">{}</a></td><td><span class="sev {}">{}</span></td><td class="title"><a href="{}">{}</a></td></tr>
`, r.Level, r.Group, r.Frameworks, r.Search, r.page(), r.ID, r.Level, r.Severity, r.page(), r.Title)
	}
	w.Put(`</tbody></table></div>
</section>
`)
}

func putGroup(w *markup.Writer, g groupView) {
	w.Put(`<header>
<p class="crumbs"><a href="index.html">Rules</a></p>
<h1>{}</h1>
</header>
<main>
`, g.Title)
	putTable(w, g.Rules)
	w.Put(`</main>
`)
}

func putFramework(w *markup.Writer, f frameworkView) {
	w.Put(`<header>
<p class="crumbs"><a href="index.html">Rules</a></p>
<h1>{}</h1>
<p class="lead">Controls that rules of this handbook support. A rule looks at model customization only, so passing it is evidence for a control, not proof of it.</p>
</header>
<main>
`, f.Title)
	for _, c := range f.Controls {
		w.Put(`<section>
<h2>{}</h2>
`, c.ID)
		putTable(w, c.Rules)
		w.Put(`</section>
`)
	}
	w.Put(`</main>
`)
}

// putTable writes rules with when they pass.
func putTable(w *markup.Writer, rules []row) {
	w.Put(`<div class="card"><table><colgroup><col class="c1"><col class="c2"><col></colgroup><thead class="sr"><tr><th>Rule</th><th>Risk level</th><th>Title and when it passes</th></tr></thead><tbody>
`)
	for i := range rules {
		r := &rules[i]
		w.Put(`<tr><td class="id"><a href="{}">{}</a></td><td><span class="sev {}">{}</span></td><td class="title"><a href="{}">{}</a><small>{}</small></td></tr>
`, r.page(), r.ID, r.Level, r.Severity, r.page(), r.Title, r.Pass)
	}
	w.Put(`</tbody></table></div>
`)
}

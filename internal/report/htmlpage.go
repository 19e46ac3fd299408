package report

import "example.com/cloister/internal/markup"

// putPage writes the page, from top to bottom.
func putPage(w *markup.Writer, p *page) {
	putHead(w, p)
	putTiles(w, p.Tiles)
	putMissing(w, p.Missing)
	putJobs(w, p)
	putResults(w, p)
	putAccounts(w, p.Accounts)
	putList(w, "Notes", p.Notes)
	putList(w, "Assumptions", p.Assumptions)
	putRules(w, p)
	w.Put(`
</main>
<footer><p>{} · this page is complete in itself: it loads nothing and sends nothing</p></footer>
`, p.Tool)
	w.Asset(p.Script)
	w.Put(`
</body>
</html>

`)
}

func putHead(w *markup.Writer, p *page) {
	w.Put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>Cloister audit, {}</title>
<link rel="icon" href="data:,">
`, markup.Policy(p.Style, p.Script), p.Started)
	w.Asset(p.Style)
	w.Put(`
</head>
<body>
<header>
<p class="mark"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 21V11a4.5 4.5 0 0 1 9 0v10M12 21V11a4.5 4.5 0 0 1 9 0v10M1.5 21h21"/></svg>Cloister audit</p>
<h1>Evaluated {} of {}<span>{}</span></h1>
<p class="lead">{}</p>`, p.Evaluated, p.Total, p.Percent, p.Verdict)
	if len(p.Bar) > 0 {
		w.Put(`
<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="Share of each verdict">`)
		for _, b := range p.Bar {
			w.Put(`<rect class="{}" x="{}" width="{}" height="10"><title>{}</title></rect>`, b.Class, b.X, b.Width, b.Label)
		}
		w.Put(`</svg>`)
	}
	w.Put(`
<p class="meta">{} · {} · {} · {}</p>
</header>
<main>`, p.Started, p.Duration, p.Calls, p.Tool)
}

func putTiles(w *markup.Writer, tiles []tile) {
	w.Put(`
<nav class="tiles" aria-label="Verdicts">`)
	for i := range tiles {
		t := &tiles[i]
		class := t.Class
		if t.Count == 0 {
			class += " none"
		}
		w.Put(`
<a class="tile {}" href="#results" data-status="{}"><b>{}</b><span>{}</span>`, class, t.Status, t.Number, t.Label)
		w.PutIf(`<small>{}</small>`, t.Detail)
		w.Put(`</a>`)
	}
	w.Put(`
</nav>`)
}

func putMissing(w *markup.Writer, rows []missingRow) {
	if len(rows) == 0 {
		return
	}
	w.Put(`
<section>
<h2>What was not read</h2>
<p class="why">A result that lacks one of these calls is an ERROR, never a PASS.</p>
<div class="scroll"><table>
<thead><tr><th>Call</th><th>Why</th><th>Where</th><th class="num">Calls</th><th class="num">Results</th><th>Rules</th></tr></thead>
<tbody>`)
	for i := range rows {
		m := &rows[i]
		w.Put(`
<tr><td><code>{}</code>`, m.Action)
		if m.Other {
			w.Put(`<small>for {}</small>`, m.Operation)
		}
		w.Put(`</td><td><strong class="t-error">{}</strong>`, m.Code)
		if m.Accepted {
			w.Put(` <em>accepted gap</em>`)
		}
		w.PutIf(`<small>{}</small>`, m.Message)
		w.PutIf(`<small>request {}</small>`, m.Request)
		w.Put(`</td><td>{}</td><td class="num" data-label="Calls">{}</td><td class="num" data-label="Results">{}</td><td>`, m.Where, m.Calls, m.Results)
		for _, rule := range m.Rules {
			w.Put(`<a href="#rule-{}">{}</a> `, rule, rule)
		}
		w.Put(`</td></tr>`)
	}
	w.Put(`
</tbody></table></div>
</section>`)
}

func putJobs(w *markup.Writer, p *page) {
	if p.JobCount == "" {
		return
	}
	w.Put(`
<section>
<h2>What the jobs touch <small>{}</small></h2>
`, p.JobCount)
	for i := range p.Jobs {
		putJob(w, &p.Jobs[i])
	}
	if p.MoreJobs != "" {
		w.Put(`<details class="more"><summary>{}</summary>
`, p.MoreJobs)
		for i := range p.RestJobs {
			putJob(w, &p.RestJobs[i])
		}
		w.Put(`</details>`)
	}
	w.Put(`
</section>`)
}

func putJob(w *markup.Writer, job *jobView) {
	w.Put(`<article class="job"><h3>{} <small>{}</small></h3><ol class="chain">`, job.Name, job.Where)
	for i := range job.Nodes {
		n := &job.Nodes[i]
		w.Put(`<li class="{}"><span class="k">{}</span>`, n.Class, n.Kind)
		w.Each(`<b>{}</b>`, n.Lines)
		w.PutIf(`<small>{}</small>`, n.Note)
		if n.Result != "" {
			w.Put(`<a href="#f-{}">{}</a>`, n.Result, n.Verdict)
		}
		w.Put(`</li>`)
	}
	w.Put(`</ol></article>`)
}

"""The report's style sheet: light and dark, wide and narrow, on screen and on paper."""

CSS = """
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#14181f;--soft:#566070;
--line:#dde2e9;--accent:#0b5cad;--track:#e6eaf0;--ok:#0b6b45;--okbg:#e2f4ea;--warn:#7d4e00;
--warnbg:#fdf0d5;--bad:#a3121f;--badbg:#fde6e6}
@media(prefers-color-scheme:dark){:root{--paper:#0f1319;--card:#181e27;--ink:#e9edf3;
--soft:#a3aebd;--line:#2b3441;--accent:#78b7ff;--track:#2a3340;--ok:#7bdcae;--okbg:#123626;
--warn:#f4c56a;--warnbg:#3a2c0c;--bad:#ff9d9d;--badbg:#431a1d}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:980px;margin:0 auto;padding:36px 20px 48px}
header{margin-bottom:22px}
header p{margin:0;color:var(--soft)}
h1{font-size:1.55rem;line-height:1.25;margin:2px 0 4px;overflow-wrap:anywhere;font-weight:650}
h2{font-size:1.02rem;margin:0 0 14px;font-weight:650}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:22px 24px;
margin:0 0 18px}
.results{display:grid;gap:18px;grid-template-columns:repeat(auto-fit,minmax(290px,1fr));
margin-bottom:18px}
.results section{margin:0;display:flex;flex-direction:column}
.task{color:var(--soft);font-weight:600;margin:0}
.value{margin:2px 0 2px;font-size:3.4rem;line-height:1.12;font-weight:680;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.value small{font-size:1.15rem;font-weight:500;letter-spacing:0;color:var(--soft)}
.margin{margin:0 0 12px;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums}
.margin span{font-weight:400;color:var(--soft);font-size:.95rem}
.odds{margin:6px 0 14px}
.odds div{height:10px;border-radius:5px;background:var(--track);position:relative}
.odds i{position:absolute;top:-4px;width:6px;height:18px;border-radius:3px;background:var(--accent);
transform:translateX(-50%)}
.odds p{display:flex;justify-content:space-between;margin:5px 0 0;color:var(--soft);
font-size:.88rem}
.note{margin:0 0 8px;font-size:.95rem}
.soft{color:var(--soft)}
.say{border-left:4px solid var(--warn);background:var(--warnbg);color:var(--warn);
padding:9px 13px;border-radius:0 8px 8px 0;margin:0 0 8px;font-size:.95rem}
.say.good{border-color:var(--ok);background:var(--okbg);color:var(--ok)}
.say.bad{border-color:var(--bad);background:var(--badbg);color:var(--bad)}
.banner{margin-bottom:18px}
.banner ul{margin:4px 0 0;padding-left:20px}
figure{margin:0 0 18px}
figure:last-child{margin:0}
figure img{display:block;width:100%;height:auto;border-radius:10px;background:#000}
figcaption{color:var(--soft);font-size:.9rem;margin-top:7px}
.checks{list-style:none;margin:0;padding:0}
.checks li{display:grid;grid-template-columns:98px minmax(0,1fr) 190px;gap:4px 16px;
padding:13px 0;border-top:1px solid var(--line);align-items:start}
.checks li:first-child{border-top:0;padding-top:0}
.checks li:last-child{padding-bottom:0}
.badge{display:inline-block;border-radius:999px;padding:1px 11px;font-size:.85rem;font-weight:650;
white-space:nowrap}
.badge.ok{background:var(--okbg);color:var(--ok)}
.badge.warn{background:var(--warnbg);color:var(--warn)}
.badge.refuse{background:var(--badbg);color:var(--bad)}
.checks p{margin:0}
.checks b{font-weight:620}
.measure{font-variant-numeric:tabular-nums;font-size:.92rem}
.gauge{height:8px;border-radius:4px;background:var(--track);position:relative;margin:6px 0 5px}
.gauge u{position:absolute;top:0;bottom:0;background:var(--soft);opacity:.45;border-radius:4px}
.gauge i{position:absolute;top:-4px;width:4px;height:16px;border-radius:2px;background:var(--ink);
transform:translateX(-50%)}
.times{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
.times th{text-align:left;font-weight:400;padding:4px 14px 4px 0;white-space:nowrap}
.times td{padding:4px 0}
.times td:last-child{text-align:right;white-space:nowrap;padding-left:14px}
.times .bar{width:100%}
.times .bar div{height:12px;border-radius:3px;background:var(--accent);min-width:2px}
.times .total th,.times .total td{font-weight:650;border-top:1px solid var(--line);padding-top:8px}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:5px 20px;margin:0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
code{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{color:var(--soft);font-size:.92rem;padding:4px 2px}
footer strong{color:var(--ink)}
@media(max-width:640px){main{padding:22px 14px 36px}section{padding:18px 16px}
.value{font-size:2.9rem}.checks li{grid-template-columns:minmax(0,1fr)}
dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:9px}}
@media print{:root{color-scheme:light;--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;
--track:#ddd;--accent:#0b5cad;--ok:#0b6b45;--okbg:#fff;--warn:#7d4e00;--warnbg:#fff;--bad:#a3121f;
--badbg:#fff}
body{font-size:11pt}main{max-width:none;padding:0}section,figure,.checks li{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""

"""A page to drop a scan on: it uses the service as any client does, and loads nothing else."""

from __future__ import annotations

import json
from html import escape

from runtime.report.page.document import document
from runtime.report.page.facts import STAGES
from runtime.report.page.script import SLICES, policy
from runtime.service.http.page.script import SCRIPT

_META = f"{policy(SCRIPT, SLICES)}; connect-src 'self'"  # a report in its frame runs SLICES
POLICY = f"{_META}; frame-ancestors 'none'"

_STYLE = """
.drop{border:2px dashed var(--edge);border-radius:14px;padding:30px 20px;text-align:center}
.drop.over{border-color:var(--accent);background:var(--track)}
.drop p{margin:0 0 14px}
.choice,.page button{display:inline-block;font:inherit;font-weight:620;border-radius:999px;
padding:6px 16px;margin:3px;border:1px solid var(--accent);color:var(--accent);
background:var(--card);cursor:pointer}
.choice:focus-within{outline:3px solid var(--accent);outline-offset:2px}
.choice input{position:absolute;opacity:0;width:1px;height:1px}
.page progress{width:100%;height:12px;accent-color:var(--accent)}
#said{min-height:1.6em;margin:12px 0 0;font-weight:620;overflow-wrap:anywhere}
#said.bad{background:none;color:var(--bad)}
#login label{display:block;margin-bottom:8px}
#login input{font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--edge);
border-radius:8px;padding:5px 10px;max-width:100%}
#list{list-style:none;margin:0;padding:0}
#list li{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;padding:9px 0;
border-top:1px solid var(--line)}
#list span:nth-of-type(2){flex:1 1 14rem;min-width:0;overflow-wrap:anywhere}
#report iframe{width:100%;height:85vh;border:1px solid var(--line);border-radius:10px}
"""


def page(root_path: str) -> str:
    """The page, in HTML.

    Args:
        root_path: where a proxy shows the service.
    """
    stages = escape(json.dumps(STAGES))
    steps = "".join(f'<li class="chip">{escape(said)}</li>' for said in STAGES.values())
    parts = (
        "<header><h1>Brain MRI</h1><p>Drop a T1-weighted head: it is answered on this service, "
        "and goes nowhere else.</p></header>"
        "<noscript><p>This page needs its own script.</p></noscript>"
        f'<div id="page" class="page" data-root="{escape(root_path)}" data-stages="{stages}"'
        " hidden>"
        '<section aria-labelledby="send"><h2 id="send">Send a scan</h2>'
        '<form id="login" hidden><label for="token">The service\'s token</label>'
        '<input id="token" type="password" autocomplete="off" required> '
        "<button>Use it</button></form>"
        '<div id="drop" class="drop"><p>Drop a NIfTI file, a zip or a folder of DICOM here, or</p>'
        '<label class="choice">choose a file<input id="file" type="file"></label> '
        '<label class="choice">choose a folder<input id="folder" type="file" webkitdirectory>'
        "</label></div>"
        '<p id="said" role="status" aria-live="polite"></p>'
        '<progress id="sent" max="1" value="0" aria-label="Sent so far" hidden></progress>'
        f'<ol id="steps" class="chips" aria-label="Stages" hidden>{steps}</ol></section>'
        '<section id="report" aria-labelledby="answer" hidden>'
        '<h2 id="answer" tabindex="-1">Report</h2>'
        '<iframe id="frame" title="Report" sandbox="allow-scripts"></iframe></section>'
        '<section aria-labelledby="jobs"><h2 id="jobs">Last jobs</h2>'
        '<p id="none" class="soft">None yet.</p><ul id="list"></ul>'
        '<template id="line"><li><time></time><span></span><span></span>'
        "<button>Read the report</button></li></template></section></div>",
    )
    head = f'<style>{_STYLE}</style><link rel="icon" href="data:,">'
    return document("A scan", parts, SCRIPT, _META, head)

"""`fmtool serve`: services that a site leaves running."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import (
    BundleOption,
    IdentifiersOption,
    LogOption,
    TasksOption,
    ThreadsOption,
)
from runtime.ledger.names import Identifiers

_Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on.")]

app = typer.Typer(no_args_is_help=True, help="Services that a site leaves running.")


@app.callback()
def _root() -> None:
    """Services that a site leaves running."""


@app.command("dicom")
def dicom(
    inbox: Annotated[Path, typer.Option("--inbox", help="Folder for what comes in and goes out.")],
    allow: Annotated[
        list[str], typer.Option("--allow", help="An AE title that may call; repeat for several.")
    ],
    peer: Annotated[
        str | None,
        typer.Option(
            "--peer",
            help="Where results go: AET@HOST:PORT, or the https:// address of a DICOMweb server; "
            "without it they wait.",
        ),
    ] = None,
    aet: Annotated[str, typer.Option("--aet", help="The AE title of this node.")] = "FMTOOL",
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: _Port = 11112,
    bundle: BundleOption = None,
    task: TasksOption = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="The node's certificate, PEM; TLS only, then.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key, PEM.")] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option("--tls-ca", help="Authorities, PEM: a client must show one of theirs."),
    ] = None,
    tls_required: Annotated[
        bool,
        typer.Option("--tls-required", help="Do not start without --tls-cert, -key and -ca."),
    ] = False,
    any_client: Annotated[
        bool,
        typer.Option(
            "--any-client", help="Let other machines send without a certificate of --tls-ca."
        ),
    ] = False,
    peer_tls: Annotated[
        bool, typer.Option("--peer-tls", help="Speak TLS to the peer, with the same files.")
    ] = False,
    peer_token: Annotated[
        Path | None,
        typer.Option("--peer-token", help="A file with the DICOMweb server's bearer token."),
    ] = None,
    peer_ca: Annotated[
        Path | None,
        typer.Option("--peer-ca", help="Authorities, PEM, of https:// servers; else --tls-ca's."),
    ] = None,
    fhir: Annotated[
        str | None,
        typer.Option("--fhir", help="Where FHIR R4 reports go: a server's address, or a folder."),
    ] = None,
    fhir_token: Annotated[
        Path | None, typer.Option("--fhir-token", help="A file with the FHIR server's token.")
    ] = None,
    deidentify: Annotated[
        bool,
        typer.Option("--deidentify", help="De-identify what is sent, by the site's key of names."),
    ] = False,
    settle: Annotated[
        float, typer.Option("--settle", min=0.1, help="Seconds without an object: it is complete.")
    ] = 30.0,
    max_associations: Annotated[
        int, typer.Option("--max-associations", min=1, help="Connections at once.")
    ] = 32,
    max_object: Annotated[
        int, typer.Option("--max-object", min=1, help="Of one object, MiB.")
    ] = 512,
    min_free: Annotated[
        int, typer.Option("--min-free", min=0, help="Of the disk, MiB: below it nothing is taken.")
    ] = 2048,
    keep_days: Annotated[
        float, typer.Option("--keep-days", min=0, help="Days until an answered series is deleted.")
    ] = 7.0,
    unsuited_days: Annotated[
        float,
        typer.Option(
            "--unsuited-days", min=0, help="Days until one is that is no T1-weighted head."
        ),
    ] = 7.0,
    failed_days: Annotated[
        float,
        typer.Option("--failed-days", min=0, help="Days until one is that failed otherwise."),
    ] = 30.0,
    max_quarantine: Annotated[
        int,
        typer.Option(
            "--max-quarantine", min=0, help="Of both in quarantine, MiB: beyond it the oldest go."
        ),
    ] = 20480,
    log: LogOption = None,
    threads: ThreadsOption = None,
) -> None:
    """A DICOM node: MR series in by C-STORE, a structured report and a page back to a peer."""
    from runtime.service import tls
    from runtime.service.node.policy import Policy, parse_fhir, parse_peer

    policy = Policy(
        aet=aet,
        allow=tuple(allow),
        settle_s=settle,
        max_associations=max_associations,
        max_object_bytes=max_object << 20,
        min_free_bytes=min_free << 20,
        keep_days=keep_days,
        unsuited_days=unsuited_days,
        failed_days=failed_days,
        max_quarantine_bytes=max_quarantine << 20,
    )
    to = parse_peer(peer) if peer else None
    records = parse_fhir(fhir) if fhir else None
    files = tls.files(tls_cert, tls_key, tls_ca, tls_required)
    tasks = tuple(task) if task else None
    from runtime.service import log as logs
    from runtime.service.ending import Ending
    from runtime.service.node.peers.destinations import Destinations  # which loads the libraries
    from runtime.service.node.server import NodeSettings
    from runtime.service.node.service import serve

    logs.configure(log)  # the node tells of no patient, so there is nothing to keep or hash
    ending = Ending()
    with ending.on_signals():
        where = Destinations(to, peer_tls, peer_token, peer_ca, records, fhir_token)
        settings = NodeSettings(
            policy, inbox, host, port, where, files, tasks, any_client, deidentify
        )
        serve(settings, bundle, ending)
    raise typer.Exit(ending.code)


@app.command("http")
def http(
    spool: Annotated[Path, typer.Option("--spool", help="Folder for jobs and their ledger.")],
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="The bearer token; needed beyond loopback."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: _Port = 8080,
    bundle: BundleOption = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="The certificate, PEM; TLS only, then.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key, PEM.")] = None,
    queue: Annotated[
        int, typer.Option("--queue", min=1, help="Jobs at once; one more gets 429.")
    ] = 16,
    max_upload: Annotated[int, typer.Option("--max-upload", min=1, help="Of a scan, MiB.")] = 1024,
    min_free: Annotated[
        int, typer.Option("--min-free", min=0, help="Of the disk, MiB: below it nothing is taken.")
    ] = 1024,
    keep_days: Annotated[
        float, typer.Option("--keep-days", min=0.0, help="Days until a settled job is deleted.")
    ] = 7.0,
    root_path: Annotated[
        str, typer.Option("--root-path", help="The path that a proxy shows the service under.")
    ] = "",
    page: Annotated[
        bool,
        typer.Option("--page/--no-page", help="Answer / with a page to drop a scan on."),
    ] = True,
    log: LogOption = None,
    identifiers: IdentifiersOption = Identifiers.drop,
    threads: ThreadsOption = None,
) -> None:
    """An HTTP service: POST a scan, GET the job, its result and its page."""
    from runtime.service import log as logs
    from runtime.service import tls
    from runtime.service.ending import Ending
    from runtime.service.http import service
    from runtime.service.http.limits import Limits
    from runtime.service.worker import open_worker

    logs.configure(log, identifiers)
    settings = service.HttpSettings(
        spool=spool,
        host=host,
        port=port,
        token_file=token_file,
        tls=tls.files(tls_cert, tls_key),
        limits=Limits(max_bytes=max_upload << 20, queue=queue),
        min_free_bytes=min_free << 20,
        keep_days=keep_days,
        root_path=service.root_path(root_path),
        page=page,
    )
    ending = Ending()
    with ending.on_signals():
        service.serve(settings, lambda: open_worker(bundle), ending)
    raise typer.Exit(ending.code)


@app.command("mrd")
def mrd(
    listen: Annotated[
        str, typer.Option("--listen", help="The address and the port to listen on.")
    ] = "127.0.0.1:9002",
    bundle: BundleOption = None,
    budget: Annotated[
        float,
        typer.Option(
            "--budget", min=1.0, help="Seconds for an answer; then the originals go back alone."
        ),
    ] = 60.0,
    any_client: Annotated[
        bool, typer.Option("--any-client", help="Let other machines connect: no password exists.")
    ] = False,
    log: LogOption = None,
    threads: ThreadsOption = None,
) -> None:
    """An MRD image server, for OpenRecon and others: images in, originals and answers back."""
    from runtime.service import log as logs
    from runtime.service.ending import Ending
    from runtime.service.mrd.limits import SessionLimits
    from runtime.service.mrd.service import MrdSettings, listen_at, serve

    host, port = listen_at(listen)
    logs.configure(log)  # streams have no names to keep or hash
    ending = Ending(grace_s=0.0)  # what is under way goes back as it came
    with ending.on_signals():
        limits = SessionLimits(budget_s=budget)
        serve(MrdSettings(host, port, bundle, limits, any_client=any_client), ending)
    raise typer.Exit(ending.code)


@app.command("rehearse")
def rehearse(
    scan: Annotated[Path, typer.Argument(help="NIfTI, DICOM or an MRD file of images.")],
    out: Annotated[Path, typer.Argument(help="Folder for what comes back; made if absent.")],
    to: Annotated[
        str, typer.Option("--to", help="Where an MRD server listens.")
    ] = "127.0.0.1:9002",
    on: Annotated[
        list[str] | None,
        typer.Option("--on", help="A parameter to switch on, such as mask; repeat for several."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep what is sent as an MRD file too.")
    ] = None,
) -> None:
    """Send a scan to an MRD server as a scanner would; keep what comes back, as DICOM too."""
    from runtime.service.mrd.rehearsal.run import rehearse as run
    from runtime.service.mrd.service import listen_at

    for line in run(scan, out, listen_at(to), tuple(on or ()), keep):
        typer.echo(line)


@app.command("openrecon")
def openrecon(
    folder: Annotated[Path, typer.Argument(help="Folder for what is written; made if absent.")],
    bundle: BundleOption = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", help="The container's archive, of `docker save`: packages, then."),
    ] = None,
) -> None:
    """The label and the manual of an OpenRecon container; with its archive, both packages."""
    from runtime.service.mrd.openrecon.package import write

    for path in write(folder, bundle, image):
        typer.echo(path)

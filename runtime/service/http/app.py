"""The service's requests: who asks, for what, and what they get."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from fmtool import NOTICE, __version__
from fmtool.errors import LedgerError
from runtime.documents import fhir
from runtime.report.page.script import SLICES, policy
from runtime.service.ending import Ending
from runtime.service.guard import NoSpace, Reservation, SpaceGuard
from runtime.service.http import page, upload
from runtime.service.http.auth import Auth
from runtime.service.http.jobs import JobListed, Jobs, JobTold
from runtime.service.http.limits import Limits, Refusal
from runtime.service.http.metrics import CONTENT_TYPE, Metrics
from runtime.service.log import tell
from runtime.service.loop import SHORT, AnswerLoop

logger = logging.getLogger("fmtool.http")

_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_PAGE_POLICY = f"{policy(SLICES)}; frame-ancestors 'none'"
_LISTED = 20
_NO_JOB = "there is no such job, or it was deleted"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **{kind: _BINARY for kind in upload.RAW},
            upload.MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


class Accepted(BaseModel):
    """A job that will be answered."""

    id: str
    state: Literal["queued"] = "queued"


class LastJobs(BaseModel):
    """The jobs that came last, the last first."""

    jobs: list[JobListed]


class Problem(BaseModel):
    """What is wrong, and what to do."""

    detail: str


@dataclass(frozen=True)
class Serving:
    """What the requests work with."""

    jobs: Jobs
    loop: AnswerLoop
    guard: SpaceGuard
    metrics: Metrics
    auth: Auth
    limits: Limits
    ending: Ending
    root_path: str = ""
    page: bool = True

    @property
    def ready(self) -> bool:
        """Whether an upload that comes now is taken and answered."""
        return self.loop.ready and self.guard.enough() and not self.ending.asked


def parts_of(request: Request) -> Serving:
    """What the service that gets the request works with."""
    parts = request.app.state.parts
    assert isinstance(parts, Serving)
    return parts


async def allowed(
    request: Request,
    shown: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> None:
    """Refuse who may not pass; `shown` is there for the OpenAPI description."""
    if not parts_of(request).auth.passes(request.headers):
        raise Refusal(401, "show the token: Authorization: Bearer TOKEN")


def _private() -> APIRouter:
    problems: dict[int | str, dict[str, Any]] = {c: {"model": Problem} for c in (401, 503)}
    return APIRouter(dependencies=[Depends(allowed)], responses=problems)


private, public = _private(), APIRouter()
listing, front_page = _private(), APIRouter()  # where there is a page


@private.post(
    "/v1/scans",
    status_code=202,
    openapi_extra=_BODY,
    responses={code: {"model": Problem} for code in (400, 408, 413, 415, 429)},
)
async def post_scan(request: Request, response: Response) -> Accepted:
    """Send a T1-weighted head, NIfTI, MGH or a zip of a DICOM series, to be answered."""
    parts = parts_of(request)
    announced = upload.check_head(request, parts.limits)
    if parts.ending.asked:
        raise Refusal(503, "the service is ending", parts.limits.retry_s)
    with _space(parts, announced) as space, parts.jobs.place() as (identity, path):
        content, size = await upload.receive(request, path, parts.limits, space)
        await run_in_threadpool(parts.jobs.add, identity, content, peer_of(request))
    parts.metrics.received(size)
    facts = {"peer": peer_of(request), "item": content[:SHORT], "bytes": size}
    tell(logger, "accepted", job=identity[:SHORT], **facts)
    response.headers["Location"] = f"{parts.root_path}/v1/scans/{identity}"
    return Accepted(id=identity)


@contextmanager
def _space(parts: Serving, announced: int) -> Iterator[Reservation]:
    try:
        with parts.guard.reserved(announced) as space:
            yield space
    except NoSpace:
        raise Refusal(503, "the disk is full", parts.limits.retry_s) from None


@listing.head("/v1/scans", include_in_schema=False)
@listing.get("/v1/scans")
def get_scans(request: Request) -> LastJobs:
    """Ask for the last jobs."""
    return LastJobs(jobs=parts_of(request).jobs.last(_LISTED))


@front_page.head("/", include_in_schema=False)
@front_page.get("/", include_in_schema=False)
def get_page(request: Request) -> HTMLResponse:
    """Ask for the page to drop a scan on."""
    html = page.page(parts_of(request).root_path)
    return HTMLResponse(html, headers={"Content-Security-Policy": page.POLICY})


@private.head("/v1/scans/{identity}", include_in_schema=False)
@private.get("/v1/scans/{identity}", responses={404: {"model": Problem}})
def get_scan(request: Request, identity: str) -> JobTold:
    """Ask how a job stands, and for its result."""
    job = parts_of(request).jobs.find(identity)
    if job is None:
        raise Refusal(404, _NO_JOB)
    return job


@private.head("/v1/scans/{identity}/report", include_in_schema=False)
@private.get(
    "/v1/scans/{identity}/report",
    response_class=FileResponse,
    responses={404: {"model": Problem}, 200: {"content": {"text/html": {}}}},
)
def get_report(request: Request, identity: str) -> FileResponse:
    """Ask for the page with pictures of a job that is done."""
    path = parts_of(request).jobs.page(identity)
    if path is None:
        raise Refusal(404, "there is no page: the job is not done, or there is no such job")
    return FileResponse(
        path, media_type="text/html", headers={"Content-Security-Policy": _PAGE_POLICY}
    )


@private.head("/v1/scans/{identity}/fhir", include_in_schema=False)
@private.get("/v1/scans/{identity}/fhir", responses={404: {"model": Problem}})
def get_fhir(request: Request, identity: str) -> JSONResponse:
    """Ask for the FHIR R4 report of a job that is done, as a Bundle."""
    job = parts_of(request).jobs.find(identity)
    if job is None or job.result is None:
        raise Refusal(404, "there is no report: the job is not done, or there is no such job")
    return JSONResponse(fhir.collection(job.result), media_type="application/fhir+json")


@private.head("/metrics", include_in_schema=False)
@private.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    parts = parts_of(request)
    drift = parts.loop.drift
    text = parts.metrics.text(parts.jobs.states(), parts.guard.free(), parts.ready, drift)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


@public.head("/health", include_in_schema=False)
@public.get("/health")
def health() -> dict[str, str]:
    """Say that the service runs."""
    return {"status": "ok", "version": __version__}


@public.head("/ready", include_in_schema=False)
@public.get("/ready", responses={503: {"model": Problem}})
def ready(request: Request) -> dict[str, str]:
    """Say whether scans are taken: the bundle is loaded, and there is space."""
    if not parts_of(request).ready:
        raise Refusal(503, "not ready", parts_of(request).limits.retry_s)
    return {"status": "ready"}


def create(parts: Serving, on_end: Callable[[], None] = lambda: None) -> FastAPI:
    """The application.

    Args:
        parts: what its requests work with.
        on_end: called when the end is asked for.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_until_end(parts.ending, on_end))
        yield
        task.cancel()

    app = FastAPI(
        title="fmtool",
        description=f"3D brain-MRI foundation models beside the scanner. {NOTICE}",
        version=__version__,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it would name this server as a proxy's client must not call it
        lifespan=lifespan,
    )
    app.state.parts = parts
    app.include_router(private)
    app.include_router(public)
    if parts.page:
        app.include_router(listing)
        app.include_router(front_page)
    app.middleware("http")(_account)
    app.exception_handler(Refusal)(_refused)
    app.exception_handler(LedgerError)(_no_ledger)
    return app


async def _until_end(ending: Ending, on_end: Callable[[], None]) -> None:
    while not ending.asked:
        await asyncio.sleep(0.1)
    on_end()


async def _account(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Count every answer, and have no one keep or guess at it; paths may end in a slash.

    A proxy may leave the path that the service has there in front of what it passes on, or not.
    """
    if _contradicts(request):
        tell(logger, "refused", logging.WARNING, peer=peer_of(request), status=400, why="framing")
        said = {"detail": "the request says in two ways where it ends; send one"}
        return JSONResponse(said, 400, {**_HEADERS, "Connection": "close"})
    request.scope["root_path"] = parts_of(request).root_path
    request.scope["path"] = request.scope["path"].rstrip("/") or "/"
    response = await answer(request)
    route = request.scope.get("route")
    pattern = getattr(route, "path", "none")
    parts_of(request).metrics.request(_method(request), pattern, response.status_code)
    response.headers.update(_HEADERS)
    return response


def _contradicts(request: Request) -> bool:
    """Whether another reader of the request might see it end elsewhere (RFC 9112, 6.3)."""
    names = [name.lower() for name, _ in request.scope["headers"]]
    lengths, coded = names.count(b"content-length"), b"transfer-encoding" in names
    return lengths > 1 or (coded and (lengths > 0 or request.scope["http_version"] == "1.0"))


def peer_of(request: Request) -> str:
    """The address that a request came from; a proxy's, where there is one."""
    return request.client.host if request.client else ""


def _method(request: Request) -> str:
    """The method, of which anyone may invent any number."""
    return request.method if request.method in ("GET", "HEAD", "POST") else "other"


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    headers = {}
    if error.retry_s is not None:
        headers["Retry-After"] = str(error.retry_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    facts = {"peer": peer_of(request), "status": error.status, "method": _method(request)}
    if error.status not in (404, 503):
        tell(logger, "refused", logging.WARNING, **facts, why=error.sentence)
    return JSONResponse({"detail": error.sentence}, error.status, headers)


async def _no_ledger(request: Request, error: Exception) -> JSONResponse:
    tell(logger, "ledger_failed", logging.ERROR, reason=str(error))
    retry = parts_of(request).limits.retry_s
    return JSONResponse(
        {"detail": "the record cannot be used just now"}, 503, {"Retry-After": str(retry)}
    )

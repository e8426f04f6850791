"""A real HTTP server on 127.0.0.1 that speaks OpenAI's API.

Written against the API's public form, with what vLLM's server adds (`echo` on token ids). `Server`
answers from a real model; parts of it can be turned off, and failures can be scripted. `Stub`
answers from fixed shares, and can refuse and alter whatever real servers do.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from suffrage.models import LanguageModel
from suffrage.models.tokenizing import encode_text


class RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Server:
    """What a server does. script: responses given first, one a request. said: bodies received."""

    model: LanguageModel
    name: str = "tiny"
    key: str | None = None
    most_listed: int = 1000
    logprobs: bool = True
    echo: bool = True
    several: bool = True
    counts_tokens: bool = True
    length_key: str = "max_tokens"
    speaks: Callable[[str], list[tuple[str, float]]] | None = None
    delay: float = 0.0
    script: list[Response | None] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    address: str = ""
    at_once: int = 0
    most_at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/{rest:path}")
        def post(rest: str, body: dict[str, Any], request: Request) -> Response:
            with self._lock:
                self.said.append(body)
                self.headers.append(dict(request.headers))
                planned = self.script.pop(0) if self.script else None
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                time.sleep(self.delay)
                if planned is not None:
                    return planned
                if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
                    raise RefusedError(401, f"wrong key {request.headers.get('authorization')}")
                if body["model"] != self.name:
                    raise RefusedError(404, f"no model {body['model']}")
                if rest == "chat/completions":
                    return JSONResponse(self.chat(body))
                if rest == "completions":
                    return JSONResponse(self.completion(body))
                raise RefusedError(404, "no such path")
            except RefusedError as error:
                return JSONResponse(
                    {"error": {"message": str(error), "code": error.code}}, error.status
                )
            finally:
                with self._lock:
                    self.at_once -= 1

        return app

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.length_key not in body:
            raise RefusedError(400, f"use {self.length_key} instead")
        if body.get("logprobs") and not self.logprobs:
            raise RefusedError(400, "logprobs are not supported")
        if body.get("top_logprobs", 0) > self.most_listed:
            raise RefusedError(400, f"top_logprobs must be at most {self.most_listed}")
        if body.get("n", 1) > 1 and not self.several:
            raise RefusedError(400, "n must be 1")
        prompt = self.model.encode(body["messages"])
        last = body["messages"][-1]["content"]
        listed = None
        if body.get("logprobs"):
            rows = [
                {"token": token, "logprob": log, "bytes": None}
                for token, log in self.likeliest(prompt, body["top_logprobs"])
            ]
            listed = {"content": [{**rows[0], "top_logprobs": rows}], "refusal": None}
        texts = self.drawn(prompt, last, body, body[self.length_key])
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": listed,
                "finish_reason": "length",
            }
            for index, text in enumerate(texts)
        ]
        return self.answer("chat.completion", choices, len(prompt), len(texts))

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        given = body["prompt"]
        prompt = (
            tuple(given) if isinstance(given, list) else encode_text(self.model.tokenizer, given)
        )
        if body.get("echo"):
            if not self.echo:
                raise RefusedError(400, "echo is not supported")
            with torch.inference_mode():
                logits = self.model.model(torch.tensor([prompt])).logits[0].float().log_softmax(-1)
            logs = [None, *(float(logits[i, prompt[i + 1]]) for i in range(len(prompt) - 1)), -1.0]
            choice = {"text": "", "logprobs": {"token_logprobs": logs}}
            return self.answer("text_completion", [choice], len(prompt), 1)
        top = None
        if body.get("logprobs"):
            top = {"top_logprobs": [dict(self.likeliest(prompt, body["logprobs"]))]}
        texts = self.drawn(prompt, str(given), body, body["max_tokens"])
        choices = [{"text": text, "logprobs": top} for text in texts]
        return self.answer("text_completion", choices, len(prompt), len(texts))

    def likeliest(self, prompt: tuple[int, ...], count: int) -> list[tuple[str, float]]:
        with torch.inference_mode():
            logs = self.model.model(torch.tensor([prompt])).logits[0, -1].float().log_softmax(-1)
        values, tokens = logs.topk(min(count, len(logs)))
        names = self.model.tokenizer.convert_ids_to_tokens(tokens.tolist())
        return list(zip(names, values.tolist(), strict=True))

    def drawn(
        self, prompt: tuple[int, ...], question: str, body: dict[str, Any], longest: int
    ) -> list[str]:
        count, seed = body.get("n", 1), body.get("seed", 0)
        if self.speaks is None:
            return self.model.sample([prompt], count, longest, seed)[0]
        said = self.speaks(question)
        generator = torch.Generator().manual_seed(seed)
        chances = torch.tensor([share for _, share in said])
        places = torch.multinomial(chances, count, replacement=True, generator=generator)
        return [said[place][0] for place in places]

    def answer(
        self, kind: str, choices: list[dict[str, Any]], read: int, written: int
    ) -> dict[str, Any]:
        usage = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
        found = {"object": kind, "model": f"{self.name}-2026", "choices": choices}
        return found | ({"usage": usage} if self.counts_tokens else {})


# What a stub does: it refuses a request, or returns None.
Refusal = Callable[[dict[str, Any]], Response | None]
# What a stub makes of its answer to a request: another one, or any response.
Alteration = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | Response]


@dataclass
class Stub(Server):
    """A server without a model. Its answers begin with a token of these shares."""

    model: Any = None
    name: str = "stub"
    shares: dict[str, float] = field(default_factory=lambda: {"A": 0.5, "B": 0.3, "C": 0.2})
    # Written behind the first token.
    rest: str = ""
    refuses: Refusal = lambda body: None
    alters: Alteration = lambda body, answer: answer

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/{rest:path}")
        def post(rest: str, body: dict[str, Any]) -> Response:
            with self._lock:
                self.said.append(body)
                planned = self.script.pop(0) if self.script else None
            refused = planned or self.refuses(body)
            if refused is not None:
                return refused
            altered = self.alters(body, self.chat(body))
            return altered if isinstance(altered, Response) else JSONResponse(altered)

        return app

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(body.get("seed", len(self.said)))
        chances = torch.tensor(list(self.shares.values()))
        count = body.get("n", 1)
        places = torch.multinomial(chances, count, replacement=True, generator=generator)
        tokens = [list(self.shares)[place] for place in places]
        listed = None
        if body.get("logprobs"):
            rows = [
                {"token": token, "logprob": math.log(share)}
                for token, share in sorted(self.shares.items(), key=lambda pair: -pair[1])
            ]
            top = rows[: body["top_logprobs"]]
            listed = {"content": [{**rows[0], "top_logprobs": top}]}
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": token + self.rest},
                "logprobs": listed,
                "finish_reason": "length",
            }
            for index, token in enumerate(tokens)
        ]
        return self.answer("chat.completion", choices, 30, count)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server at work, its address in `address`."""
    config = uvicorn.Config(server.app(), host="127.0.0.1", port=0, log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    server.address = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        running.should_exit = True
        thread.join(10)


def busy(status: int = 429, after: str | None = "0") -> Response:
    """What a server says that would rather not now."""
    headers = {"Retry-After": after} if after is not None else {}
    return JSONResponse({"error": {"message": "come back later"}}, status, headers)

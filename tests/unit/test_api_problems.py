"""What the core refuses, as the API answers it; none of it may be a fault of the service."""

from __future__ import annotations

import pytest
from flask import Flask

from api.problems import register_problem_handlers
from shared.errors import BatchNotFound, BatchTooLarge, DuplicateReference


@pytest.mark.parametrize(
    ("error", "status", "code", "detail"),
    [
        (BatchNotFound("batch_1"), 404, "not_found", "There is no such batch, or it was deleted."),
        (BatchTooLarge("a batch may have at most 3 items"), 400, "invalid_request", "body: a batch may have at most 3"),
        (DuplicateReference("'A' is given twice"), 400, "duplicate_reference", "'A' is given twice"),
    ],
)
def test_what_is_refused_about_a_batch_is_a_problem(error: Exception, status: int, code: str, detail: str) -> None:
    app = Flask(__name__)
    register_problem_handlers(app)

    @app.get("/")
    def refuse() -> str:
        raise error

    response = app.test_client().get("/")
    assert (response.status_code, response.get_json()["code"]) == (status, code)
    assert response.content_type == "application/problem+json"
    assert response.get_json()["detail"].startswith(detail)

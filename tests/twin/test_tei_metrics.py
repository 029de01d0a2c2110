from esinfer.twin.permits import Permits
from esinfer.twin.tei import Twin
from esinfer.twin.tei_task import Task
from tests.twin.asking import get, post

QUEUE = "# TYPE te_queue_size gauge\nte_queue_size 0\n"


def told(server: Twin) -> str:
    answer = get(server, "/metrics")
    assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8")
    return answer.body.decode()


def test_what_was_asked_and_became_of_it_is_counted() -> None:
    server = Twin(permits=Permits(3), task=Task.EMBEDDING)
    asked: list[tuple[str, dict[str, object], int]] = [
        ("/embed", {"inputs": "a"}, 200),
        ("/v1/embeddings", {"input": ["a", "b"]}, 200),
        ("/vertex", {"instances": [{"inputs": "a"}, {"inputs": "a"}]}, 200),
        ("/embed", {"inputs": ["a"] * 33}, 422),
        ("/embed", {"inputs": ["a"] * 4}, 429),
        ("/embed", {"inputs": ""}, 400),
        ("/embed", {"inputs": "a", "dimensions": 0}, 422),
        ("/rerank", {"query": "a", "texts": ["b"]}, 424),
        ("/embed", {"inputs": 5}, 422),  # no body of the route: none of its requests
    ]
    assert told(server) == QUEUE
    assert [post(server, path, body).status for path, body, _ in asked] == [
        status for *_, status in asked
    ]
    assert told(server) == (
        "# TYPE te_request_count counter\n"
        'te_request_count{method="batch"} 3\nte_request_count{method="single"} 5\n\n'
        "# TYPE te_request_success counter\n"
        'te_request_success{method="batch"} 1\nte_request_success{method="single"} 3\n\n'
        "# TYPE te_request_failure counter\n"
        'te_request_failure{err="batch_size"} 1\nte_request_failure{err="model_type"} 1\n'
        'te_request_failure{err="overloaded"} 1\nte_request_failure{err="validation"} 2\n\n' + QUEUE
    )


def test_predictions_rankings_and_tokens_are_counted_too() -> None:
    server = Twin()
    post(server, "/predict", {"inputs": "a"})
    post(server, "/rerank", {"query": "a", "texts": ["b", "c"]})
    post(server, "/chat", {})
    assert 'te_request_success{method="single"} 1\n' in told(server)
    assert 'te_request_success{method="batch"} 1\n' in told(server)
    assert "te_request_failure" not in told(server)
    post(server, "/v1/chat/completions", {"messages": []})
    assert "te_request_failure" not in told(server)


def test_each_server_counts_for_itself() -> None:
    post(Twin(), "/embed", {"inputs": "a"})
    assert told(Twin()) == QUEUE

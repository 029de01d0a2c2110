"""elasticsearch-py over HTTPS, with each kind of credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from elasticsearch import ApiError, AuthenticationException, AuthorizationException, Elasticsearch

from tests.clients.conftest import Connect
from tests.clients.servers import running
from tests.security import credentials
from tests.security.credentials import KEY, PASSWORD, TOKEN

INFERENCE = {
    "service": "hugging_face",
    "service_settings": {"api_key": "any", "url": "https://example.com"},
}


def test_each_kind_of_credentials_works_over_https(tmp_path: Path, connect: Connect) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = ca.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    file = credentials.write(tmp_path)
    options = (
        *("--set", f"server.certificate={tmp_path / 'server.pem'}"),
        *("--set", f"security.credentials={file}"),
    )
    with running("mock", *options) as url:
        ca_certs = str(tmp_path / "ca.pem")

        def known(**how: object) -> Elasticsearch:
            return connect(url, ca_certs=ca_certs, **how)

        manager = known(api_key=("manager-key", KEY))
        manager.inference.put(
            inference_id="x", task_type="text_embedding", inference_config=INFERENCE
        )
        for reader in (
            known(basic_auth=("reader", PASSWORD)),
            known(api_key=("reader-key", KEY)),
            known(bearer_auth=TOKEN),
        ):
            assert reader.ping()
            answer = reader.inference.inference(inference_id="x", input="text")
            assert len(answer["text_embedding"][0]["embedding"]) == 384
            with pytest.raises(AuthorizationException, match="is unauthorized for"):
                reader.inference.delete(inference_id="x")
        for stranger in (
            known(),
            known(basic_auth=("reader", "wrong")),
            known(api_key=("x", "y")),
            known(bearer_auth="z"),
        ):
            assert not stranger.ping()
            with pytest.raises(AuthenticationException) as refused:
                stranger.inference.get()
            error: ApiError = refused.value
            assert error.body["error"]["header"]["WWW-Authenticate"][-1] == "ApiKey"

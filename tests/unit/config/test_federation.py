"""What `check` warns of about the ways to identity providers, beside the mistakes in tests/data/bad_configs."""

from gateway.config.loader import Loaded, read_text

CORP = '{kind: oidc, name: corp, issuer: "https://id.example.com", client_id: a, client_secret: b}'
HUB = "{kind: github, name: hub, client_id: a, client_secret: b}"
OWN = "{kind: github, name: own, client_id: a, client_secret: b, domains: [example.com]}"


def loaded(text: str) -> Loaded:
    return read_text(text, "config.yaml", {})


def warned(text: str) -> list[str]:
    return [one.key for one in loaded(text).warnings if one.key.startswith("federation")]


def test_a_hidden_form_and_a_single_provider_are_a_warning_that_says_where_the_other_way_is() -> None:
    text = f"federation: {{password_form: hidden}}\nidentity_providers: [{CORP}]\n"
    [warning] = [one for one in loaded(text).warnings if one.key == "federation.password_form"]
    assert "`corp` is away" in warning.problem
    assert "/_auth/login?local=1" in warning.mend
    assert warned(text + "email_link: {enabled: true}") == []
    assert warned(f"federation: {{password_form: hidden}}\nidentity_providers: [{CORP}, {HUB}]") == []
    assert warned(f"identity_providers: [{CORP}]") == []


def test_of_several_providers_none_is_gone_to_where_no_domain_chooses() -> None:
    text = "federation: {auto: true}\nidentity_providers: "
    assert warned(f"{text}[{CORP}, {HUB}]") == ["federation.auto"]
    assert warned(f"{text}[{CORP}, {OWN}]") == []
    assert warned(f"{text}[{CORP}]") == []

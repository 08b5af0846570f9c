"""What is tried with each app: the sign-in, a page, its WebSocket, its API."""

import re
import shutil

from playwright.async_api import expect

from tests.recipes.stage import FOLDER, SECRET, Stage, recipe
from tests.service_accounts_rig import TOKEN, add_token
from tests.waiting import PATIENCE, free_port


@recipe("MLflow", "mlflow")
async def mlflow(stage: Stage) -> None:
    async with stage.app(
        stage.program("mlflow"),
        *("server", "--host", "127.0.0.1", "--port", str(stage.port)),
        *("--backend-store-uri", f"sqlite:///{stage.folder}/mlflow.db"),
        *("--artifacts-destination", str(stage.folder / "artifacts")),
        *("--allowed-hosts", stage.url.removeprefix("http://")),
        ready="/health",
    ):
        page = await stage.sign_in()
        await expect(page.get_by_text("Experiments").first).to_be_visible()
        await add_token(stage.rig, routes=("*/",))
        (stage.folder / "model.bin").write_bytes(bytes(5_000_000))
        code = (
            "import mlflow; mlflow.set_experiment('behind'); mlflow.start_run();"
            "mlflow.log_param('depth', 3); mlflow.log_artifact('model.bin');"
            "print(mlflow.search_runs()['params.depth'][0])"
        )
        told = await stage.run(
            *(stage.program("python"), "-c", code),
            MLFLOW_TRACKING_URI=stage.url,
            MLFLOW_TRACKING_TOKEN=TOKEN,
        )
        assert "3" in told
        await page.reload()
        await expect(page.get_by_text("behind").first).to_be_visible()


@recipe("JupyterLab", "jupyterlab")
async def jupyterlab(stage: Stage) -> None:
    async with stage.app(
        stage.program("jupyter-lab"),
        *("--no-browser", "--allow-root", f"--port={stage.port}", "--ServerApp.token="),
        *("--ServerApp.allow_remote_access=True", f"--ServerApp.allow_origin={stage.url}"),
        f"--ServerApp.root_dir={stage.folder}",
        ready="/api",
    ):
        page = await stage.sign_in("/lab")
        await page.get_by_title(re.compile("Python 3")).first.click()
        await page.locator(".jp-Notebook .cm-content").first.click()
        await page.keyboard.type("print(6 * 7)")
        await page.keyboard.press("Shift+Enter")
        await expect(page.locator(".jp-OutputArea-output").first).to_have_text(re.compile("42"))


@recipe("Node-RED", "node-red", kind="npm")
async def node_red(stage: Stage) -> None:
    async with stage.app(
        stage.program("node-red"), "-p", str(stage.port), "-u", str(stage.folder), ready="/settings"
    ):
        async with stage.page.expect_websocket(lambda socket: "/comms" in socket.url) as opened:
            page = await stage.sign_in()
            await expect(page.locator("#red-ui-palette")).to_be_visible()
        socket = await opened.value
        await socket.wait_for_event("framereceived")
        flow = '[{"id":"a","type":"tab","label":"Behind"}]'
        status = await page.evaluate(
            "flow => fetch('/flows', {method: 'POST', body: flow, headers: {'Content-Type': 'application/json'}})"
            ".then(answer => answer.status)",
            flow,
        )
        assert status == 204


@recipe("pgAdmin", "pgadmin4")
async def pgadmin(stage: Stage) -> None:
    settings = (
        "AUTHENTICATION_SOURCES = ['webserver']\nWEBSERVER_REMOTE_USER = 'Remote-User'\n"
        "WEBSERVER_REMOTE_USER_FROM_HEADER = True\nWEBSERVER_TRUSTED_PROXIES = ['127.0.0.1']\n"
        f"WEBSERVER_AUTO_CREATE_USER = True\nSERVER_MODE = True\nDATA_DIR = {str(stage.folder)!r}\n"
        f"LOG_FILE = {str(stage.folder / 'log')!r}\nDEFAULT_SERVER_PORT = {stage.port}\n"
        f"MASTER_PASSWORD_REQUIRED = False\nSQLITE_PATH = {str(stage.folder / 'pgadmin.db')!r}\n"
    )
    site = next((stage.home / "lib").glob("python3*/site-packages/pgadmin4"))
    (site / "config_local.py").write_text(settings)
    async with stage.app(
        *(stage.program("python"), str(site / "pgAdmin4.py")),
        ready="/misc/ping",
        PGADMIN_SETUP_EMAIL="admin@example.com",
        PGADMIN_SETUP_PASSWORD="only the gateway signs in",
    ):
        page = await stage.sign_in()
        await expect(page.get_by_text("alice").first).to_be_visible()


@recipe("JupyterHub", "jupyterhub", "jupyterlab", "oauthenticator", callback="/hub/oauth_callback")
async def jupyterhub(stage: Stage) -> None:
    there = f"{stage.url}/_auth/oidc"
    proxy = shutil.which(
        "configurable-http-proxy", path=str(FOLDER / "configurable-http-proxy/node_modules/.bin")
    )
    (stage.folder / "hub.py").write_text(
        f"c.JupyterHub.bind_url = 'http://127.0.0.1:{stage.port}'\n"
        f"c.JupyterHub.hub_port = {free_port()}\n"
        f"c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{free_port()}'\n"
        f"c.ConfigurableHTTPProxy.command = {proxy!r}\n"
        "c.JupyterHub.authenticator_class = 'generic-oauth'\n"
        "c.JupyterHub.spawner_class = 'simple'\n"
        "c.Spawner.cmd = ['jupyterhub-singleuser', '--allow-root']\n"
        f"c.GenericOAuthenticator.client_id = 'app'\nc.GenericOAuthenticator.client_secret = {SECRET!r}\n"
        f"c.GenericOAuthenticator.oauth_callback_url = '{stage.url}/hub/oauth_callback'\n"
        f"c.GenericOAuthenticator.authorize_url = '{there}/authorize'\n"
        f"c.GenericOAuthenticator.token_url = '{there}/token'\n"
        f"c.GenericOAuthenticator.userdata_url = '{there}/userinfo'\n"
        "c.GenericOAuthenticator.username_claim = 'preferred_username'\n"
        "c.GenericOAuthenticator.scope = ['openid', 'profile', 'email', 'groups']\n"
        "c.GenericOAuthenticator.allow_all = True\n"
    )
    async with stage.app(stage.program("jupyterhub"), "-f", "hub.py", ready="/hub/health"):
        page = stage.page
        await page.goto(stage.url)
        await page.get_by_role("button", name=re.compile("Sign in")).click()
        await stage.give_credentials()
        await page.wait_for_url("**/user/alice/lab**", wait_until="commit", timeout=PATIENCE * 1000)
        await page.get_by_title(re.compile("Python 3")).first.click(timeout=PATIENCE * 1000)
        await page.locator(".jp-Notebook .cm-content").first.click()
        await page.keyboard.type("print(6 * 7)")
        await page.keyboard.press("Shift+Enter")
        await expect(page.locator(".jp-OutputArea-output").first).to_have_text(re.compile("42"))


@recipe("Superset", "apache-superset", "rich", "cachetools", "flask-caching<2.4")
async def superset(stage: Stage) -> None:
    config = stage.folder / "superset_config.py"
    config.write_text(
        "from flask_appbuilder.const import AUTH_REMOTE_USER\n"
        "from superset.security import SupersetSecurityManager\n"
        "class Manager(SupersetSecurityManager):\n    register_superset_auth_view = False\n"
        "CUSTOM_SECURITY_MANAGER = Manager\nRECAPTCHA_PUBLIC_KEY = ''\n"
        "AUTH_TYPE = AUTH_REMOTE_USER\nAUTH_REMOTE_USER_ENV_VAR = 'HTTP_REMOTE_USER'\n"
        "AUTH_USER_REGISTRATION = True\nAUTH_USER_REGISTRATION_ROLE = 'Gamma'\nENABLE_PROXY_FIX = True\n"
        f"SECRET_KEY = {'s' * 42!r}\nSQLALCHEMY_DATABASE_URI = 'sqlite:///{stage.folder}/superset.db'\n"
    )
    settings = {"SUPERSET_CONFIG_PATH": str(config), "FLASK_APP": "superset"}
    for words in (("db", "upgrade"), ("init",)):
        await stage.run(stage.program("superset"), *words, **settings)
    argv = (stage.program("superset"), "run", "-h", "127.0.0.1", "-p", str(stage.port))
    async with stage.app(*argv, ready="/health", **settings):
        page = await stage.sign_in()
        await page.wait_for_url("**/superset/welcome/**", timeout=PATIENCE * 1000)
        me = await page.evaluate("fetch('/api/v1/me/').then(answer => answer.json())")
        assert me["result"]["username"] == "alice"


@recipe("Airflow", "apache-airflow", "apache-airflow-providers-fab")
async def airflow(stage: Stage) -> None:
    (stage.folder / "webserver_config.py").write_text(
        "from flask_appbuilder.const import AUTH_REMOTE_USER\n"
        "AUTH_TYPE = AUTH_REMOTE_USER\nAUTH_REMOTE_USER_ENV_VAR = 'HTTP_REMOTE_USER'\n"
        "AUTH_USER_REGISTRATION = True\nAUTH_USER_REGISTRATION_ROLE = 'Admin'\n"
    )
    settings = {
        "AIRFLOW_HOME": str(stage.folder),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__BASE_URL": stage.url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__FAB__ENABLE_PROXY_FIX": "True",
        "AIRFLOW__API_AUTH__JWT_SECRET": "j" * 64,
    }
    await stage.run(stage.program("airflow"), "db", "migrate", **settings)
    argv = (stage.program("airflow"), "api-server", "--host", "127.0.0.1", "-p", str(stage.port))
    async with stage.app(*argv, ready="/api/v2/version", **settings):
        page = await stage.sign_in()
        await expect(page.get_by_text("Dags").first).to_be_visible()
        me = await page.evaluate("fetch('/ui/auth/me').then(answer => answer.json())")
        assert me["username"] == "alice", me


@recipe("n8n", "n8n", kind="npm")
async def n8n(stage: Stage) -> None:
    settings = {
        "N8N_PORT": str(stage.port),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_USER_FOLDER": str(stage.folder),
        "N8N_EDITOR_BASE_URL": stage.url,
        "WEBHOOK_URL": stage.url,
        "N8N_SECURE_COOKIE": "false",
        "N8N_PROXY_HOPS": "1",
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    }
    async with stage.app(stage.program("n8n"), "start", ready="/healthz/readiness", **settings):
        page = await stage.sign_in()
        while re.search("starting up|Cannot GET", await page.locator("body").inner_text()):
            await page.reload()
        await expect(page.get_by_text("Set up owner account")).to_be_visible()
        await page.locator("input[autocomplete=email]").fill("alice@example.com")
        await page.locator("input[name=firstName]").fill("Alice")
        await page.locator("input[name=lastName]").fill("Example")
        await page.locator("input[type=password]").fill("The app has its own 1")
        await page.get_by_role("button", name="Next").click()
        skip, scratch = page.get_by_role("button", name="Get started"), page.get_by_text("Start from scratch")
        await expect(skip.or_(scratch).first).to_be_visible()
        if await skip.is_visible():
            await skip.click()
        async with page.expect_websocket(lambda socket: "/rest/push" in socket.url) as opened:
            await scratch.click()
        await opened.value


@recipe("Home Assistant", "homeassistant")
async def home_assistant(stage: Stage) -> None:
    (stage.folder / "configuration.yaml").write_text(
        "frontend:\nhttp:\n"
        f"  server_host: 127.0.0.1\n  server_port: {stage.port}\n"
        "  use_x_forwarded_for: true\n  trusted_proxies: [127.0.0.1]\n"
    )
    argv = (stage.program("hass"), "-c", str(stage.folder), "--skip-pip-packages", "none")
    async with stage.app(*argv, ready="/manifest.json"):
        page = await stage.sign_in()
        await expect(page.get_by_text("Welcome").first).to_be_visible(timeout=PATIENCE * 1000)
        said = await page.evaluate(
            "new Promise(done => new WebSocket(location.origin.replace('http', 'ws') + '/api/websocket')"
            ".onmessage = message => done(message.data))"
        )
        assert "auth_required" in said


@recipe("MinIO console", "minio", kind="path")
async def minio(stage: Stage) -> None:
    settings = {
        "MINIO_ROOT_USER": "root",
        "MINIO_ROOT_PASSWORD": "the app has its own",
        "MINIO_BROWSER_REDIRECT_URL": stage.url,
    }
    argv = ("minio", "server", str(stage.folder / "data"), "--address", f"127.0.0.1:{free_port()}")
    async with stage.app(*argv, "--console-address", f"127.0.0.1:{stage.port}", **settings):
        page = await stage.sign_in()
        await page.locator("#accessKey").fill("root")
        await page.locator("#secretKey").fill("the app has its own")
        await page.get_by_role("button", name="Login").click()
        await expect(page.get_by_text("Object Browser").first).to_be_visible()
        answers = await page.evaluate(
            "async () => { const made = await fetch('/api/v1/buckets', {method: 'POST',"
            " headers: {'Content-Type': 'application/json'}, body: JSON.stringify({name: 'behind'})});"
            " const form = new FormData(); form.append('20000000', new Blob(['x'.repeat(20000000)]), 'large');"
            " const sent = await fetch('/api/v1/buckets/behind/objects/upload?prefix=large',"
            " {method: 'POST', body: form});"
            " const opened = await new Promise(done => { const socket = new WebSocket("
            "location.origin.replace('http', 'ws') + '/ws/objectManager');"
            " socket.onopen = () => done('open'); socket.onerror = () => done('failed'); });"
            " return [made.status, sent.status, opened]; }"
        )
        assert answers == [200, 200, "open"], answers


@recipe("Open WebUI", "open-webui")
async def open_webui(stage: Stage) -> None:
    settings = {
        "WEBUI_AUTH_TRUSTED_EMAIL_HEADER": "Remote-Email",
        "WEBUI_AUTH_TRUSTED_NAME_HEADER": "Remote-Name",
        "WEBUI_AUTH_TRUSTED_GROUPS_HEADER": "Remote-Groups",
        "WEBUI_URL": stage.url,
        "CORS_ALLOW_ORIGIN": stage.url,
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
        "WEBUI_SECRET_KEY": "w" * 42,
        "DATA_DIR": str(stage.folder),
        "OFFLINE_MODE": "true",
        "ENABLE_OLLAMA_API": "false",
        "ENABLE_OPENAI_API": "false",
    }
    argv = (stage.program("open-webui"), "serve", "--host", "127.0.0.1", "--port", str(stage.port))
    async with stage.app(*argv, ready="/health", **settings):
        async with stage.page.expect_websocket(lambda socket: "/ws/socket.io" in socket.url) as opened:
            page = await stage.sign_in()
        await (await opened.value).wait_for_event("framereceived")
        await expect(page.locator("#chat-input")).to_be_visible(timeout=PATIENCE * 1000)
        me = await page.evaluate("fetch('/api/v1/auths/').then(answer => answer.json())")
        assert me["email"] == "alice@example.com", me

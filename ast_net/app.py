"""python -m ast_net.app: opens a page that predicts a webcam or a video in the browser."""

import importlib.util

from ast_net import cli, config, errors, fields, imports, main

# The packages of the extra `app`.
_PACKAGES = ("starlette", "uvicorn", "websockets")


def app(arguments: cli.Arguments) -> None:
    """Serves the page until Ctrl-C is pressed."""
    settings = arguments.read(config.PageServer)
    faces, networks = arguments.read(config.PagePrediction), arguments.read(config.Networks)
    hardware = arguments.read(config.Devices)
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.InputError(
            f"the page needs {', '.join(missing)}, not installed here: pip install 'ast-net[app]'"
        )
    with imports.of_command():
        from ast_net import devices
        from ast_net.page import server
        from ast_net.prediction import predictor

    with server.listen(settings.port) as listener:
        devices.use(hardware)
        values = fields.values(faces) | fields.values(networks)
        server.serve(
            listener, predictor.Predictor(posteriors=settings.posteriors, **values), settings
        )


if __name__ == "__main__":
    main.run("app", app)

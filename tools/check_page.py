"""Opens the page in Chromium: with a camera made of a video, and with the video as a recording.

    pip install playwright
    python tools/check_page.py talk.mp4 screenshots --chromium /usr/bin/chromium

Prints how fast answers come, beside what `Predictor.step` takes by itself, and fails if the page
asks another machine for anything, or reports an error. Writes pictures of the page: wide and
narrow, light and dark. ffmpeg makes the camera.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from playwright import sync_api

import ast_net
from ast_net.faces import video

PORT = 8799
ADDRESS = f"http://127.0.0.1:{PORT}"
# The first answers come while the camera starts.
SKIPPED_ANSWERS = 20
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}


def main() -> None:
    """Checks the page with one video."""
    arguments = _arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_api.sync_playwright() as playwright:
        camera = pathlib.Path(folder) / "camera.mjpeg"
        shape = "scale=640:480:force_original_aspect_ratio=increase,crop=640:480"
        command = ["ffmpeg", "-loglevel", "error", "-stream_loop", "3", "-i", arguments.video]
        subprocess.run([*command, "-vf", shape, "-r", "30", "-q:v", "3", "-an", camera], check=True)
        server = _start()
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium,
            args=[
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-video-capture={camera}",
            ],
        )
        try:
            pages = {name: _open(browser, size, problems) for name, size in SIZES.items()}
            _check_speed(pages["wide"], arguments.seconds)
            for name, page in pages.items():
                _save(page, arguments.folder / f"live_{name}")
            server = _check_restart(pages["wide"], server)
            _check_failures(pages["narrow"], arguments.video, pathlib.Path(folder))
            for name, page in pages.items():
                _check_recording(page, arguments.video)
                _save(page, arguments.folder / f"recording_{name}")
        finally:
            browser.close()
            server.terminate()
            server.wait()
        _time_steps(camera)
    if problems:
        sys.exit("\n".join(problems))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("video", type=pathlib.Path, help="a video of a face, of some seconds")
    parser.add_argument("folder", type=pathlib.Path, help="for the pictures of the page")
    parser.add_argument("--chromium", help="the browser; default: Playwright's own")
    parser.add_argument("--seconds", type=float, default=20, help="how long the camera is on")
    return parser.parse_args()


def _start() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "ast_net.app", "--nobrowser", f"--port={PORT}"])


def _open(browser: sync_api.Browser, size: tuple[int, int], problems: list[str]) -> sync_api.Page:
    """Opens the page when the server runs; notes what goes wrong in it later."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})

    def note_request(request: sync_api.Request) -> None:
        if not request.url.startswith((f"{ADDRESS}/", f"blob:{ADDRESS}/")):
            problems.append(f"the page asked for {request.url}")

    page.on("request", note_request)
    page.on("pageerror", lambda error: problems.append(f"the page failed: {error}"))
    for _ in range(120):
        try:
            page.goto(ADDRESS)
            break
        except sync_api.Error:
            time.sleep(1)
    _wait_for_status(page, "Ready.")
    return page


def _wait_for_status(page: sync_api.Page, *texts: str) -> None:
    for text in texts:
        sync_api.expect(page.locator("#status")).to_contain_text(text, timeout=120_000)


def _check_speed(page: sync_api.Page, seconds: float) -> None:
    page.evaluate("ages = []; window.addEventListener('answer', (e) => ages.push(e.detail))")
    page.click("#camera")
    page.wait_for_timeout(1000 * seconds)
    answers = page.evaluate("ages")[SKIPPED_ANSWERS:]
    ages = [answer["age"] for answer in answers]
    rate = 1000 * (len(answers) - 1) / (answers[-1]["now"] - answers[0]["now"])
    _print_times(f"answers in the browser, {rate:.1f} a second", ages)


def _check_restart(page: sync_api.Page, server: subprocess.Popen) -> subprocess.Popen:
    """Kills the server and starts it again; the page must say so, and go on with the camera."""
    server.kill()
    server.wait()
    _wait_for_status(page, "The program has stopped")
    server = _start()
    _wait_for_status(page, "The camera is on.")
    page.click("#camera")
    print("the page went on after the server had been killed")
    return server


def _check_failures(page: sync_api.Page, path: pathlib.Path, folder: pathlib.Path) -> None:
    """Uploads what is not a video, and cancels an upload."""
    text = folder / "text.mp4"
    text.write_text("no video")
    page.set_input_files("#file", text)
    _wait_for_status(page, "text.mp4: not a readable video")
    page.set_input_files("#file", path)
    _wait_for_status(page, "Predicting")
    page.click("#cancel")
    _wait_for_status(page, "Cancelled.")


def _check_recording(page: sync_api.Page, path: pathlib.Path) -> None:
    page.set_input_files("#file", path)
    _wait_for_status(page, "Predicting", "frames,")
    page.locator("#slider").focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    with page.expect_download() as download:
        page.click("#table")
    print(f"{download.value.suggested_filename}: {page.inner_text('#status')}")


def _save(page: sync_api.Page, path: pathlib.Path) -> None:
    """Saves pictures of the page, in both colour schemes."""
    if "live" in path.name and page.inner_text("#camera") != "Stop the camera":
        page.click("#camera")
        page.wait_for_timeout(3000)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)
        page.screenshot(path=f"{path}_{scheme}.png", full_page=True)


def _time_steps(camera: pathlib.Path) -> None:
    predictor = ast_net.Predictor(posteriors=True, max_faces=None)
    seconds = []
    for frame in video.Video(camera).frames():
        start = time.perf_counter()
        predictor.step(frame.image, frame.timestamp)
        seconds.append(time.perf_counter() - start)
    _print_times("Predictor.step alone", [1000 * value for value in seconds[SKIPPED_ANSWERS:]])


def _print_times(what: str, values: list[float]) -> None:
    middle, high = np.percentile(values, [50, 95])
    print(f"{what}: median {middle:.0f} ms, 95 % within {high:.0f} ms")


if __name__ == "__main__":
    main()

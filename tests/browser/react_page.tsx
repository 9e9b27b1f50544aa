// A React page with <hub-launch> in it, as a frontend developer would write one; checked by tsc, bundled by esbuild.
import { StrictMode, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import type { HubLaunch, HubLaunchEventMap, HubLaunchProps } from "./hub-launch";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "hub-launch": React.DetailedHTMLProps<React.HTMLAttributes<HubLaunch>, HubLaunch> & HubLaunchProps;
    }
  }
}

function Launch({ image, repoUrl }: { image: string; repoUrl: string }) {
  const launcher = useRef<HubLaunch>(null);
  const [told, setTold] = useState<string[]>([]);
  useEffect(() => {
    const element = launcher.current!;
    const add = (text: string) => setTold((before) => [...before, text]);
    const onProgress = (event: HubLaunchEventMap["progress"]) => add(`progress ${event.detail.progress}`);
    const onReady = (event: HubLaunchEventMap["ready"]) => add(`ready ${event.detail.open_url}`);
    element.addEventListener("progress", onProgress);
    element.addEventListener("ready", onReady);
    return () => {
      element.removeEventListener("progress", onProgress as EventListener);
      element.removeEventListener("ready", onReady as EventListener);
    };
  }, []);
  return (
    <>
      <hub-launch ref={launcher} image={image} repoUrl={repoUrl} open="none" texts={{ ready: "C'est prêt" }}>
        Démarrer
      </hub-launch>
      <pre>{told.join("\n")}</pre>
    </>
  );
}

const { image, repoUrl } = document.body.dataset;
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Launch image={image!} repoUrl={repoUrl!} />
  </StrictMode>,
);

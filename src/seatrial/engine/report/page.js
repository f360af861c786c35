"use strict";
// Shows the meshes of the page: binary glTF 2.0 (Khronos), drawn flat-shaded with WebGL 2. One context serves all of
// them and its picture is copied, since browsers allow only a few. Nothing is loaded from anywhere.
(() => {
  const ARRAYS = { 5120: Int8Array, 5121: Uint8Array, 5122: Int16Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
  const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };
  const UNDERSTOOD = /^(KHR_mesh_quantization|KHR_materials_.*|EXT_texture_webp)$/;
  const VERTEX = `#version 300 es
    in vec3 position; in vec2 uv; in vec4 color; uniform mat4 model, camera; out vec3 place; out vec2 at; out vec4 tint;
    void main() { vec4 world = model * vec4(position, 1.0); place = world.xyz; at = uv; tint = color; gl_PointSize = 3.0; gl_Position = camera * world; }`;
  const FRAGMENT = `#version 300 es
    precision highp float; in vec3 place; in vec2 at; in vec4 tint; uniform vec4 base; uniform vec3 sun; uniform bool lit, textured; uniform sampler2D image; out vec4 seen;
    void main() {
      vec3 color = base.rgb * tint.rgb; if (textured) color *= pow(texture(image, at).rgb, vec3(2.2));
      float light = 1.0;
      if (lit) { vec3 normal = normalize(cross(dFdx(place), dFdy(place))); light = 0.25 + 0.75 * abs(dot(normal, sun)); }
      seen = vec4(pow(color, vec3(1.0 / 2.2)) * light, 1.0);
    }`;

  function bytesOf(text) {
    const raw = atob(text.trim()), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  }

  function readGlb(bytes) {
    const view = new DataView(bytes.buffer);
    if (view.getUint32(0, true) !== 0x46546c67 || view.getUint32(4, true) !== 2) throw new Error("it is no binary glTF 2.0");
    if (view.getUint32(8, true) > bytes.length) throw new Error("it is cut short");
    let gltf = null, bin = null;
    for (let at = 12; at + 8 <= bytes.length; ) {
      const length = view.getUint32(at, true), type = view.getUint32(at + 4, true);
      const body = bytes.subarray(at + 8, at + 8 + length);
      if (type === 0x4e4f534a) gltf = JSON.parse(new TextDecoder().decode(body));
      if (type === 0x004e4942) bin = body;
      at += 8 + length;
    }
    if (!gltf) throw new Error("it has no JSON chunk");
    const foreign = (gltf.extensionsRequired || []).find((name) => !UNDERSTOOD.test(name));
    if (foreign) throw new Error("it needs " + foreign);
    return { gltf, bin };
  }

  function viewBytes({ gltf, bin }, index) {
    const view = gltf.bufferViews[index], start = view.byteOffset || 0;
    if (!bin || view.buffer !== 0) throw new Error("its bytes lie outside of it");
    return bin.subarray(start, start + view.byteLength);
  }

  // An accessor as numbers, one after the other; integers that stand for fractions as those.
  function numbers(mesh, index) {
    const accessor = mesh.gltf.accessors[index], width = WIDTHS[accessor.type], Kind = ARRAYS[accessor.componentType];
    if (!width || !Kind || accessor.sparse) throw new Error("it has an accessor of an unusual kind");
    const floats = new Float32Array(accessor.count * width);
    if (accessor.bufferView === undefined) return { floats, width, count: accessor.count };
    const bytes = viewBytes(mesh, accessor.bufferView), size = Kind.BYTES_PER_ELEMENT;
    const stride = mesh.gltf.bufferViews[accessor.bufferView].byteStride || size * width;
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const read = { 5120: "getInt8", 5121: "getUint8", 5122: "getInt16", 5123: "getUint16", 5125: "getUint32", 5126: "getFloat32" }[accessor.componentType];
    const most = accessor.normalized ? { 5120: 127, 5121: 255, 5122: 32767, 5123: 65535 }[accessor.componentType] : 1;
    for (let i = 0; i < accessor.count; i++)
      for (let j = 0; j < width; j++)
        floats[i * width + j] = data[read]((accessor.byteOffset || 0) + i * stride + j * size, true) / most;
    return { floats, width, count: accessor.count };
  }

  // Column-major 4 by 4 matrices.
  function times(a, b) {
    const out = new Float32Array(16);
    for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++) for (let k = 0; k < 4; k++) out[c * 4 + r] += a[k * 4 + r] * b[c * 4 + k];
    return out;
  }
  function localOf(node) {
    if (node.matrix) return new Float32Array(node.matrix);
    const [x, y, z, w] = node.rotation || [0, 0, 0, 1], [a, b, c] = node.scale || [1, 1, 1], [u, v, t] = node.translation || [0, 0, 0];
    return new Float32Array([
      (1 - 2 * (y * y + z * z)) * a, 2 * (x * y + z * w) * a, 2 * (x * z - y * w) * a, 0,
      2 * (x * y - z * w) * b, (1 - 2 * (x * x + z * z)) * b, 2 * (y * z + x * w) * b, 0,
      2 * (x * z + y * w) * c, 2 * (y * z - x * w) * c, (1 - 2 * (x * x + y * y)) * c, 0,
      u, v, t, 1]);
  }
  const IDENTITY = localOf({});

  // Every primitive of the scene with its place in the world.
  function primitives(mesh) {
    const { gltf } = mesh, found = [];
    const visit = (index, parent, depth) => {
      const node = gltf.nodes[index], world = times(parent, localOf(node));
      if (node.mesh !== undefined) for (const one of gltf.meshes[node.mesh].primitives) found.push({ one, world });
      if (depth < 100) for (const child of node.children || []) visit(child, world, depth + 1);
    };
    const scene = (gltf.scenes || [])[gltf.scene || 0];
    for (const root of scene ? scene.nodes || [] : []) visit(root, IDENTITY, 0);
    if (!found.length) throw new Error("there is nothing to see in it");
    return found;
  }

  class Stage {
    constructor() {
      this.canvas = document.createElement("canvas");
      const gl = (this.gl = this.canvas.getContext("webgl2", { antialias: true }));
      if (!gl) throw new Error("this browser has no WebGL 2");
      const program = (this.program = gl.createProgram());
      for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, text); gl.compileShader(shader); gl.attachShader(program, shader);
      }
      ["position", "uv", "color"].forEach((name, i) => gl.bindAttribLocation(program, i, name));
      gl.linkProgram(program);
      if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "the shaders do not link");
      gl.useProgram(program); gl.enable(gl.DEPTH_TEST);
      this.places = {};
      for (const name of ["model", "camera", "base", "sun", "lit", "textured"]) this.places[name] = gl.getUniformLocation(program, name);
    }

    upload(mesh, redraw) {
      const gl = this.gl, box = { low: [Infinity, Infinity, Infinity], high: [-Infinity, -Infinity, -Infinity] };
      const parts = primitives(mesh).map(({ one, world }) => this.part(mesh, one, world, box, redraw));
      const center = box.low.map((low, i) => (low + box.high[i]) / 2);
      const radius = Math.hypot(...box.high.map((high, i) => high - center[i])) || 1;
      if (![...center, radius].every(Number.isFinite)) throw new Error("its vertices are not finite");
      const sum = (name) => parts.reduce((all, part) => all + part[name], 0);
      return { parts, center, radius, vertices: sum("vertices"), triangles: sum("triangles") };
    }

    part(mesh, one, world, box, redraw) {
      const gl = this.gl, attributes = one.attributes, array = gl.createVertexArray();
      const positions = numbers(mesh, attributes.POSITION);
      for (let i = 0; i < positions.count; i++) {
        const [x, y, z] = positions.floats.subarray(i * 3, i * 3 + 3);
        for (let r = 0; r < 3; r++) {
          const value = world[r] * x + world[4 + r] * y + world[8 + r] * z + world[12 + r];
          box.low[r] = Math.min(box.low[r], value); box.high[r] = Math.max(box.high[r], value);
        }
      }
      gl.bindVertexArray(array);
      this.attribute(0, positions);
      if (attributes.TEXCOORD_0 !== undefined) this.attribute(1, numbers(mesh, attributes.TEXCOORD_0));
      if (attributes.COLOR_0 !== undefined) this.attribute(2, numbers(mesh, attributes.COLOR_0)); else gl.vertexAttrib4f(2, 1, 1, 1, 1);
      let count = positions.count;
      const indexed = one.indices !== undefined;
      if (indexed) {
        const indices = Uint32Array.from(numbers(mesh, one.indices).floats);
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
        gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
        count = indices.length;
      }
      gl.bindVertexArray(null);
      const mode = one.mode === undefined ? 4 : one.mode;
      const material = ((mesh.gltf.materials || [])[one.material] || {}).pbrMetallicRoughness || {};
      const part = {
        array, count, mode, indexed, world, base: material.baseColorFactor || [0.8, 0.8, 0.8, 1], texture: null,
        vertices: positions.count, triangles: mode === 4 ? count / 3 : mode > 4 ? Math.max(0, count - 2) : 0,
      };
      if (material.baseColorTexture && attributes.TEXCOORD_0 !== undefined) this.texture(mesh, material.baseColorTexture.index, part, redraw);
      return part;
    }

    attribute(place, { floats, width }) {
      const gl = this.gl;
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, floats, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
    }

    texture(mesh, index, part, redraw) {
      const { gltf } = mesh, source = gltf.textures[index].source, image = source === undefined ? null : gltf.images[source];
      if (!image || image.bufferView === undefined) return;
      const blob = new Blob([viewBytes(mesh, image.bufferView)], { type: image.mimeType });
      createImageBitmap(blob).then((picture) => {
        const gl = this.gl, texture = gl.createTexture();
        gl.bindTexture(gl.TEXTURE_2D, texture);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
        gl.generateMipmap(gl.TEXTURE_2D);
        part.texture = texture;
        redraw();
      }).catch(() => {});  // a texture that does not decode leaves the base colour
    }

    draw(model, look, target) {
      const gl = this.gl, { width, height } = target;
      this.canvas.width = width; this.canvas.height = height;
      gl.viewport(0, 0, width, height); gl.clearColor(0.105, 0.137, 0.188, 1); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      const { camera, sun } = cameraOf(model, look, width / height), at = this.places;
      gl.uniformMatrix4fv(at.camera, false, camera); gl.uniform3fv(at.sun, sun);
      for (const part of model.parts) {
        gl.uniformMatrix4fv(at.model, false, part.world); gl.uniform4fv(at.base, part.base);
        gl.uniform1i(at.lit, part.mode >= 4 ? 1 : 0); gl.uniform1i(at.textured, part.texture ? 1 : 0);
        gl.bindTexture(gl.TEXTURE_2D, part.texture);
        gl.bindVertexArray(part.array);
        if (part.indexed) gl.drawElements(part.mode, part.count, gl.UNSIGNED_INT, 0); else gl.drawArrays(part.mode, 0, part.count);
      }
      target.getContext("2d").drawImage(this.canvas, 0, 0);
    }
  }

  // Around the middle of the mesh, y up, as glTF has it.
  function cameraOf({ center, radius }, { turn, tilt, distance }, aspect) {
    const away = radius * distance, back = [Math.sin(turn) * Math.cos(tilt), Math.sin(tilt), Math.cos(turn) * Math.cos(tilt)];
    const right = [Math.cos(turn), 0, -Math.sin(turn)];
    const up = [back[1] * right[2] - back[2] * right[1], back[2] * right[0] - back[0] * right[2], back[0] * right[1] - back[1] * right[0]];
    const eye = center.map((value, i) => value + back[i] * away), dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    const view = [right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0, -dot(right, eye), -dot(up, eye), -dot(back, eye), 1];
    const near = Math.max(away - radius * 1.1, radius * 0.01), far = away + radius * 1.1, focal = 1 / Math.tan(0.35);
    const lens = [focal / Math.max(aspect, 1), 0, 0, 0, 0, focal * Math.min(aspect, 1), 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0];
    const sun = right.map((value, i) => value * 0.3 + up[i] * 0.5 + back[i] * 0.81);
    return { camera: times(lens, view), sun };
  }

  function show(place, stage) {
    const canvas = place.querySelector("canvas"), hint = place.querySelector(".hint");
    const look = { turn: 0.6, tilt: 0.45, distance: 2.8 };
    let model = null;
    const redraw = () => model && stage.draw(model, look, canvas);
    model = stage.upload(readGlb(bytesOf(place.querySelector("script").textContent)), redraw);
    redraw();
    hint.textContent = `${model.vertices.toLocaleString("en")} vertices, ${model.triangles.toLocaleString("en")} triangles; ${hint.textContent}`;
    const turned = (right, down) => { look.turn -= right; look.tilt = Math.max(-1.5, Math.min(1.5, look.tilt + down)); redraw(); };
    const nearer = (factor) => { look.distance = Math.max(1.05, Math.min(20, look.distance * factor)); redraw(); };
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => event.buttons && turned(event.movementX / 120, event.movementY / 120));
    canvas.addEventListener("wheel", (event) => { if (document.activeElement === canvas) { event.preventDefault(); nearer(event.deltaY > 0 ? 1.1 : 1 / 1.1); } }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const keys = { ArrowLeft: () => turned(0.1, 0), ArrowRight: () => turned(-0.1, 0), ArrowUp: () => turned(0, 0.1), ArrowDown: () => turned(0, -0.1), "+": () => nearer(1 / 1.1), "-": () => nearer(1.1) };
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    });
  }

  let stage = null;
  for (const place of document.querySelectorAll(".mesh")) {
    try {
      stage = stage || new Stage();
      show(place, stage);
      place.dataset.shown = "yes";
    } catch (error) {
      place.dataset.shown = "no";
      place.querySelector("canvas").hidden = true;
      place.querySelector(".hint").textContent = "This mesh cannot be shown: " + error.message;
    }
  }
})();
